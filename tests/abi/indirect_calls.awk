# SPDX-License-Identifier: BSD-3-Clause
# Reads `objdump -d -r --no-show-raw-insn` of object files and prints each call or jump through a register or memory that hot code
# reaches, as "function: instruction"; the last line is "N hot functions". For x86 and aarch64.
#
# Hot code is the functions whose names match `hot`, and what they call directly. The search ends at what the compiler placed
# into .text.unlikely because it is marked cold, and at functions that match `exits`.
/^Disassembly of section / { cold = /unlikely/; next }
/^[0-9a-f]+ <.*>:$/ {
    if (pending != "" && pending != name) calls[name] = calls[name] " " pending
    pending = ""
    name = $2; gsub(/[<>:]/, "", name)
    if (!cold) exists[name] = 1
    if (!cold && name ~ hot) { queue[count++] = name; seen[name] = 1; hots++ }
    next
}
# Where the linker has not been yet, the relocation names the callee, and the instruction above it names anything.
/R_(X86_64_PLT32|X86_64_PC32|AARCH64_CALL26|AARCH64_JUMP26)/ {
    pending = $NF; sub(/[-+]0x[0-9a-f]+$/, "", pending)
    next
}
/^ +[0-9a-f]+:/ && !cold {
    if (pending != "" && pending != name) calls[name] = calls[name] " " pending
    pending = ""
    text = $0; sub(/^ +[0-9a-f]+:[ \t]+/, "", text); sub(/^([0-9a-f][0-9a-f]+ )+[ \t]*/, "", text)
    if (text ~ /^((bnd|notrack) )*(call|jmp|lcall|ljmp)[lqw]? +\*/ || text ~ /^(blr|br|blraa|blrab|braa|brab)[ \t]/)
        indirect[name] = indirect[name] name ": " text "\n"
    else if (text ~ /^(call|jmp|j[a-z]+|bl|b|b\.[a-z]+)[lqw]?[ \t].*<.*>/) {
        pending = text; sub(/^[^<]*</, "", pending); sub(/(\+0x[0-9a-f]+)?>.*$/, "", pending)
    }
}
END {
    for (i = 0; i < count; i++) {
        printf "%s", indirect[queue[i]]
        callees = split(calls[queue[i]], callee, " ")
        for (j = 1; j <= callees; j++)
            if (exists[callee[j]] && !seen[callee[j]] && (exits == "" || callee[j] !~ exits)) { seen[callee[j]] = 1; queue[count++] = callee[j] }
    }
    print hots + 0 " hot functions"
}
