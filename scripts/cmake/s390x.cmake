# SPDX-License-Identifier: BSD-3-Clause
# Cross-builds for s390x, which is big-endian, with Debian's compiler; what is built runs here under qemu-user.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR s390x)
set(CMAKE_C_COMPILER s390x-linux-gnu-gcc)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-s390x-static)
set(CMAKE_EXE_LINKER_FLAGS_INIT -static)
