# SPDX-License-Identifier: BSD-3-Clause
# Doxygen reads the headers through this: a header names its group once, at its top, and everything in it joins that group.
# Where a macro at the start of a line makes functions, Doxygen would take it for one; those lines are left empty. Lines keep their
# numbers.
making || /^VIRTQ_[A-Z0-9_]+\(/ { making = !/\)$|;$/; print ""; next }
!group && /@ingroup/ { group = $NF }
/^#define VIRTQ_[A-Z0-9_]*_H$/ { open = 1; print; next }
open && /^$/ { print "/** @addtogroup " group " *//** @{ */"; open = 0; opened = 1; next }
opened && /^#endif$/ { held = $0; next }
held != "" { print held; held = "" }
{ print }
END { if (held != "") print "/** @} */ " held }
