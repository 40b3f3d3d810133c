# SPDX-License-Identifier: BSD-3-Clause
# Compiler flags: one target for warnings, one for what the library's own code needs, and the sanitizers.
include(CheckCCompilerFlag)

set(virtq_warnings
    -Wall
    -Wextra
    -Wpedantic
    -Wconversion
    -Wsign-conversion
    -Wshadow
    -Wcast-align
    -Wstrict-prototypes
    -Wmissing-prototypes
    -Wold-style-definition
    -Wundef
    -Wvla
    -Wformat=2
    -Wcast-qual
    -Wwrite-strings
    -Wpointer-arith
    -Wnull-dereference
    -Wimplicit-fallthrough
    -Wredundant-decls
    -Wdouble-promotion)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    list(APPEND virtq_warnings -Wlogical-op -Wduplicated-cond -Wduplicated-branches)
endif()
if(VIRTQ_WERROR)
    list(APPEND virtq_warnings -Werror)
endif()

# Link it PRIVATE to whatever is compiled from this tree.
add_library(virtq_warnings INTERFACE)
target_compile_options(virtq_warnings INTERFACE "$<$<COMPILE_LANGUAGE:C>:${virtq_warnings}>")

# What the library's own code is compiled with, whatever it becomes part of.
add_library(virtq_core_flags INTERFACE)
if(VIRTQ_FREESTANDING)
    # The compiler's own headers, and what stands in for string.h; no other.
    execute_process(
        COMMAND "${CMAKE_C_COMPILER}" -print-file-name=include
        OUTPUT_VARIABLE virtq_compiler_headers
        OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
    # As options, for CMake drops what it takes for the compiler's own directories.
    target_compile_options(
        virtq_core_flags
        INTERFACE -ffreestanding -nostdlib -nostdinc -fno-stack-protector
                  "SHELL:-isystem \"${PROJECT_SOURCE_DIR}/lib/freestanding\""
                  "SHELL:-isystem \"${virtq_compiler_headers}\"")
endif()

if(VIRTQ_SANITIZE)
    add_compile_options(-fsanitize=${VIRTQ_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    add_link_options(-fsanitize=${VIRTQ_SANITIZE})
endif()
