#ifndef CYGNET_PACKET_LOAD_H
#define CYGNET_PACKET_LOAD_H

#include <stdint.h>

/// Octets at the beginning of each datagram: run (4), sender (4), number (8), in the machine's order.
enum { CYGNET_LOAD_HEADER = 16, CYGNET_LOAD_SENDERS = 64 };

/// Numbered UDP datagrams over IPv4 of one run.
typedef struct {
    uint8_t destination[4];     // network order, as is `source`
    uint8_t source[4];          // of the first sender; the others have the addresses after it
    uint32_t senders;           // 1 to CYGNET_LOAD_SENDERS, in turn, each with numbers of its own from 0 on
    uint16_t port;              // of the sink
    const uint16_t *sizes;      // octets of payload, in turn; at least CYGNET_LOAD_HEADER
    uint32_t sizes_count;
    uint32_t segments;          // datagrams handed over in one by UDP_SEGMENT; 1 for none, otherwise there is one size
    uint32_t run;               // tells this run's datagrams from earlier ones'
    double per_second;          // datagrams; 0 for as many as the kernel takes
    double seconds;
} cygnet_load;

/// Sends from the calling thread's network namespace. What it cannot send in time is left out, but for 10 ms of it.
///
/// - Returns the number of datagrams handed to the kernel, or a negative errno.
int64_t cygnet_load_send(const cygnet_load *load);

/// What came of a run.
typedef struct {
    uint64_t received;      // distinct datagrams
    uint64_t octets;        // of their payload
    uint64_t reordered;     // of these, those after which a higher number of the same sender had come already
    uint64_t duplicated;    // came once more; told from `reordered` within 4096 numbers
} cygnet_sink_counts;

/// A socket for a sink on all addresses of the calling thread's network namespace.
///
/// - coalesced: takes several datagrams as one (UDP_GRO).
/// - Returns the descriptor or a negative errno.
int cygnet_sink_open(uint16_t port, int coalesced);

/// Counts what arrives of a run until `seconds` are over and nothing has come for `idle` seconds, or twice that time is over.
///
/// - Returns 0 or a negative errno.
int cygnet_sink_run(int socket, uint32_t run, double seconds, double idle, cygnet_sink_counts *counts);

#endif
