#include "CChecksum.h"

// Eight 64-bit lanes; the compiler makes of them what the processor has.
typedef uint64_t lanes __attribute__((vector_size(64)));
typedef lanes unaligned_lanes __attribute__((aligned(1), may_alias));

#if defined(__x86_64__) && defined(__linux__) && defined(__clang__)
#define FOR_EACH_PROCESSOR __attribute__((target_clones("arch=x86-64-v4", "avx2", "default")))
#else
#define FOR_EACH_PROCESSOR
#endif

// Not a function: vectors this wide are not passed the same way by all of the clones.
#define TOTAL(v) ((v)[0] + (v)[1] + (v)[2] + (v)[3] + (v)[4] + (v)[5] + (v)[6] + (v)[7])

FOR_EACH_PROCESSOR
uint64_t cygnet_checksum_sum(const void *octets, size_t count) {
    const unaligned_lanes *next = octets;
    lanes low = {0}, high = {0};
    for (size_t i = 0; i < count / sizeof(lanes); i++) {
        lanes words = next[i];
        low += words & 0xffffffff;
        high += words >> 32;
    }
    low += high;
    return TOTAL(low);
}

FOR_EACH_PROCESSOR
uint64_t cygnet_checksum_copy(void *target, const void *source, size_t count) {
    const unaligned_lanes *next = source;
    unaligned_lanes *place = target;
    lanes low = {0}, high = {0};
    for (size_t i = 0; i < count / sizeof(lanes); i++) {
        lanes words = next[i];
        place[i] = words;
        low += words & 0xffffffff;
        high += words >> 32;
    }
    low += high;
    return TOTAL(low);
}
