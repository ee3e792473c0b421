#include "AllocationCount.h"

// features.h, which any header brings in, says which C library this is.
#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GLIBC__)

// What an executable defines takes the place of the library's function of that name, for every shared object in the
// process. glibc keeps its own under these names.
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static long allocations;

// No locked instruction, which would show in what is measured.
static void count_one(void) {
    __atomic_store_n(&allocations, __atomic_load_n(&allocations, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED);
}

void *malloc(size_t size) {
    count_one();
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    count_one();
    return __libc_calloc(count, size);
}

void *realloc(void *block, size_t size) {
    count_one();
    return __libc_realloc(block, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    count_one();
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **block, size_t alignment, size_t size) {
    if (alignment < sizeof(void *) || (alignment & (alignment - 1)) != 0) return EINVAL;
    count_one();
    void *found = __libc_memalign(alignment, size);
    if (found == NULL) return ENOMEM;
    *block = found;
    return 0;
}

long cygnet_allocation_count(void) { return __atomic_load_n(&allocations, __ATOMIC_RELAXED); }

#else

long cygnet_allocation_count(void) { return -1; }

#endif
