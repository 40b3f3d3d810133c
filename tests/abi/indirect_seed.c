/* SPDX-License-Identifier: BSD-3-Clause */
/* Hot code with an indirect call, for the gate that has to find it; without any -DSEED_..., with a
 * direct call only. */
struct seed {
    int (*act)(struct seed *);
    int done;
};

int hot_seed(struct seed *seed);
int seed_direct(struct seed *seed);

#ifdef SEED_HELPER
/* Not hot by its name, but reached from hot code. */
__attribute__((noinline)) static int helper(struct seed *seed)
{
    return seed->act(seed) + 1;
}
#endif

int hot_seed(struct seed *seed)
{
#if defined(SEED_CALL)
    return seed->act(seed) + 1;
#elif defined(SEED_JUMP)
    return seed->act(seed);
#elif defined(SEED_HELPER)
    return helper(seed) + seed->done;
#else
    return seed_direct(seed) + 1;
#endif
}
