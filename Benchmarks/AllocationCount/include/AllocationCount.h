#ifndef CYGNET_ALLOCATION_COUNT_H
#define CYGNET_ALLOCATION_COUNT_H

// Blocks of memory that the process has asked the C library for since it began, by malloc and its kin, from Swift,
// libcrypto or anything else. Threads that allocate at the same moment may be counted as one. Negative if this C library
// is not known here.
long cygnet_allocation_count(void);

#endif
