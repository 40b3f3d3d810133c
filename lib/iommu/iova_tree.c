/* SPDX-License-Identifier: BSD-3-Clause */
#include "iova_tree.h"

/* The words that lead from the root down to where something changes: each is a child's number, and
 * is set anew on the way back. */
struct path {
    uint32_t *links[VIRTQ_PRIV_IOVA_HEIGHT];
    unsigned depth;
};

uint32_t virtq_priv_iova_from(const struct virtq_iova *iova, virtq_addr_t addr)
{
    uint32_t number = iova->root;
    uint32_t found = 0;

    while (number != 0) {
        const struct virtq_iova_range *range = virtq_priv_iova_at(iova, number);

        if (range->last < addr) {
            number = range->right;
        } else {
            found = number;
            number = range->left;
        }
    }
    return found;
}

static unsigned height_of(const struct virtq_iova *iova, uint32_t number)
{
    return number == 0 ? 0 : virtq_priv_iova_at(iova, number)->height;
}

static void take_in(struct virtq_iova_range *range, const struct virtq_iova_range *child,
                    uint64_t between)
{
    uint64_t gap = child->gap > between ? child->gap : between;

    range->gap = gap > range->gap ? gap : range->gap;
    range->keeps |= child->keeps;
    range->height = child->height >= range->height ? (uint8_t)(child->height + 1) : range->height;
}

/* What is known of a subtree, from its root and what is known of the two below. */
static void renew(const struct virtq_iova *iova, struct virtq_iova_range *range)
{
    range->low = range->first;
    range->high = range->last;
    range->gap = 0;
    range->height = 1;
    range->keeps = range->reserved;
    if (range->left != 0) {
        const struct virtq_iova_range *left = virtq_priv_iova_at(iova, range->left);

        range->low = left->low;
        take_in(range, left, range->first - left->high - 1);
    }
    if (range->right != 0) {
        const struct virtq_iova_range *right = virtq_priv_iova_at(iova, range->right);

        range->high = right->high;
        take_in(range, right, right->low - range->last - 1);
    }
}

/* The right child comes up. */
static uint32_t turn_left(const struct virtq_iova *iova, uint32_t number)
{
    struct virtq_iova_range *range = virtq_priv_iova_at(iova, number);
    uint32_t up = range->right;
    struct virtq_iova_range *top = virtq_priv_iova_at(iova, up);

    range->right = top->left;
    top->left = number;
    renew(iova, range);
    renew(iova, top);
    return up;
}

static uint32_t turn_right(const struct virtq_iova *iova, uint32_t number)
{
    struct virtq_iova_range *range = virtq_priv_iova_at(iova, number);
    uint32_t up = range->left;
    struct virtq_iova_range *top = virtq_priv_iova_at(iova, up);

    range->left = top->right;
    top->right = number;
    renew(iova, range);
    renew(iova, top);
    return up;
}

/* Two levels of difference between both sides become one or none: the new root of the subtree. */
static uint32_t balance(const struct virtq_iova *iova, uint32_t number)
{
    struct virtq_iova_range *range = virtq_priv_iova_at(iova, number);
    unsigned left = height_of(iova, range->left);
    unsigned right = height_of(iova, range->right);

    if (left > right + 1) {
        const struct virtq_iova_range *child = virtq_priv_iova_at(iova, range->left);

        if (height_of(iova, child->right) > height_of(iova, child->left)) {
            range->left = turn_left(iova, range->left);
        }
        return turn_right(iova, number);
    }
    if (right > left + 1) {
        const struct virtq_iova_range *child = virtq_priv_iova_at(iova, range->right);

        if (height_of(iova, child->left) > height_of(iova, child->right)) {
            range->right = turn_right(iova, range->right);
        }
        return turn_left(iova, number);
    }
    renew(iova, range);
    return number;
}

static void go_back(const struct virtq_iova *iova, struct path *path)
{
    while (path->depth > 0) {
        uint32_t *link = path->links[--path->depth];

        *link = balance(iova, *link);
    }
}

void virtq_priv_iova_insert(struct virtq_iova *iova, virtq_addr_t first, virtq_addr_t last,
                            uint8_t reserved)
{
    uint32_t number = iova->spare;
    uint32_t *link = &iova->root;
    struct path path = {.depth = 0};
    struct virtq_iova_range *range;

    if (number == 0) {
        number = ++iova->fresh;
    } else {
        iova->spare = virtq_priv_iova_at(iova, number)->left;
    }
    range = virtq_priv_iova_at(iova, number);
    *range = (struct virtq_iova_range){.first = first, .last = last, .reserved = reserved};
    renew(iova, range);
    while (*link != 0) {
        struct virtq_iova_range *at = virtq_priv_iova_at(iova, *link);

        path.links[path.depth++] = link;
        link = first < at->first ? &at->left : &at->right;
    }
    *link = number;
    iova->count++;
    go_back(iova, &path);
}

void virtq_priv_iova_remove(struct virtq_iova *iova, virtq_addr_t first)
{
    uint32_t *link = &iova->root;
    struct path path = {.depth = 0};
    struct virtq_iova_range *range = virtq_priv_iova_at(iova, *link);
    struct virtq_iova_range *gone;
    uint32_t number;

    while (range->first != first) {
        path.links[path.depth++] = link;
        link = first < range->first ? &range->left : &range->right;
        range = virtq_priv_iova_at(iova, *link);
    }
    gone = range;
    if (range->left != 0 && range->right != 0) {
        /* The next higher one has no left child: it moves here, and its entry goes. */
        path.links[path.depth++] = link;
        link = &range->right;
        gone = virtq_priv_iova_at(iova, *link);
        while (gone->left != 0) {
            path.links[path.depth++] = link;
            link = &gone->left;
            gone = virtq_priv_iova_at(iova, *link);
        }
        range->first = gone->first;
        range->last = gone->last;
        range->reserved = gone->reserved;
    }
    number = *link;
    *link = gone->left != 0 ? gone->left : gone->right;
    gone->left = iova->spare;
    iova->spare = number;
    iova->count--;
    go_back(iova, &path);
}
