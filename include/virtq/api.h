/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_version
 * @brief Attributes that every other header uses: visibility, inlining, C++ linkage.
 *
 * Nothing here does any work. A compiler other than gcc or clang needs only this file changed.
 */
#ifndef VIRTQ_API_H
#define VIRTQ_API_H

#if !defined(__GNUC__)
#    error "libvirtq needs gcc or clang: __atomic builtins and attributes"
#endif

#ifdef __cplusplus
/** @brief Opens C linkage. */
#    define VIRTQ_BEGIN_DECLS extern "C" {
/** @brief Closes C linkage. */
#    define VIRTQ_END_DECLS }
#else
#    define VIRTQ_BEGIN_DECLS
#    define VIRTQ_END_DECLS
#endif

/** @brief A function of the stable interface, exported by libvirtq.so. */
#define VIRTQ_API __attribute__((visibility("default")))
/** @brief The result says whether anything happened at all: it may not be dropped. */
#define VIRTQ_MUST_CHECK __attribute__((warn_unused_result))
/** @brief A template: always inlined, so that its constant arguments fold away. */
#define VIRTQ_TEMPLATE static inline __attribute__((always_inline, unused))
/** @brief A small helper in a header; the compiler may place it where it likes. */
#define VIRTQ_INLINE static inline __attribute__((unused))
/** @brief Off the hot path: kept out of line, so that the path itself stays short. */
#define VIRTQ_COLD static __attribute__((noinline, cold, unused))
/** @brief Called rather than copied into each caller, though not rare. */
#define VIRTQ_OUTLINE static __attribute__((noinline, unused))
/** @brief Makes the compiler forget where a value came from, so that it does not keep the source in
 * a register as well. */
#define VIRTQ_OPAQUE(value) __asm__("" : "+r"(value))
/** @brief Keeps the compiler from merging what came before with the code for the other value of a
 * constant, which would bring the constant back as a variable. */
#ifdef __OPTIMIZE__
#    define VIRTQ_APART(constant) __asm__ __volatile__("" ::"i"((constant) ? 1 : 0) : "memory")
#else /* A template's argument is no constant to clang then. */
#    define VIRTQ_APART(constant) ((void)(constant))
#endif

/** @brief The condition nearly always holds. */
#define VIRTQ_LIKELY(condition) __builtin_expect(!!(condition), 1)
/** @brief The condition nearly never holds. */
#define VIRTQ_UNLIKELY(condition) __builtin_expect(!!(condition), 0)
/** @brief 1: this processor loads and stores 64 bits as one. 0: it does not, a ring's words of 64
 * bits take two accesses, and what threads count in 64 bits elsewhere they count in 32. The library
 * and its users have to agree: it follows from the processor they are compiled for. */
#ifndef VIRTQ_ATOMIC64
#    ifdef __GCC_HAVE_SYNC_COMPARE_AND_SWAP_8
#        define VIRTQ_ATOMIC64 1
#    else
#        define VIRTQ_ATOMIC64 0
#    endif
#endif
/** @brief Bytes of a cache line that two processors may fight over. */
#define VIRTQ_CACHE_LINE 64

#endif
