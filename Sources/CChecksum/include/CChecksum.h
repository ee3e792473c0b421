// The inner loop of the Internet checksum (RFC 1071), by the widest vectors the processor has.
#ifndef CYGNET_CCHECKSUM_H
#define CYGNET_CCHECKSUM_H

#include <stddef.h>
#include <stdint.h>

// Sums `count` octets up as 32-bit words in the machine's order, a multiple of 64 of them. Less than 2^31 octets do not overflow.
uint64_t cygnet_checksum_sum(const void *octets, size_t count);
// The same, and copies them.
uint64_t cygnet_checksum_copy(void *target, const void *source, size_t count);

#endif
