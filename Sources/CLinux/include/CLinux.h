// What Swift cannot import from Linux: variadic calls, function-like macros, GNU extensions.
#ifndef CYGNET_CLINUX_H
#define CYGNET_CLINUX_H

#include <stdint.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/fib_rules.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nf_tables.h>

// One datagram in a batch. Addresses are in network order, an IPv4 address in the first four octets; ports are in host order.
typedef struct {
    uint8_t *octets;
    uint32_t capacity;      // room at `octets`, for receiving
    uint32_t count;         // octets received or to send
    uint32_t interface;     // index of the interface it came in by
    uint16_t remote_port;
    uint8_t family;         // 4 or 6
    uint8_t traffic_class;  // TOS or traffic class
    uint8_t has_local;      // whether `local` is known (receiving) or to be used as the source (sending)
    uint8_t truncated;
    uint8_t hop_limit;      // time to live or hop limit received, 0 if not known; to send with, 0 for the system's
    uint8_t options_count;  // octets at `options`
    const uint8_t *options; // to send with: IPv4 options (at most 40), or a hop-by-hop header of IPv6 (at most 128)
    uint32_t fragment_size; // received: octets of its largest fragment, IP header included; 0: it came whole, or that is not known
    uint32_t segment_size;  // octets of each of the datagrams that `octets` holds, the last may have less; 0: it holds one
    uint8_t remote[16];
    uint8_t local[16];
    uint64_t stream;        // the number of the TCP connection it came or goes by; 0: by none
} cygnet_datagram;

// Message headers for up to `capacity` datagrams, made once and reused by one thread.
typedef struct cygnet_batch cygnet_batch;
cygnet_batch *cygnet_batch_make(unsigned capacity);
void cygnet_batch_free(cygnet_batch *batch);

// Receives up to `count` datagrams into `datagrams` without waiting. Returns their number, or -errno.
int cygnet_receive(cygnet_batch *batch, int socket, cygnet_datagram *datagrams, unsigned count);
// Sends `count` datagrams without waiting. Returns how many were taken before the first that failed, or -errno if that was the first.
int cygnet_send(cygnet_batch *batch, int socket, const cygnet_datagram *datagrams, unsigned count);

// What the error queue of a socket says of a datagram sent before.
typedef struct {
    uint32_t error;     // errno
    uint32_t info;      // the path MTU for EMSGSIZE
    uint32_t count;     // octets of the datagram's payload that were quoted
    uint16_t remote_port;
    uint8_t origin;     // SO_EE_ORIGIN_*
    uint8_t type;       // of ICMP
    uint8_t code;
    uint8_t family;
    uint8_t remote[16]; // where the datagram was sent
} cygnet_socket_error;

// Takes one entry off the error queue. Returns 1 if there was one, 0 if not.
int cygnet_receive_error(int socket, uint8_t *octets, uint32_t capacity, cygnet_socket_error *error);

// A UDP socket (ip_protocol 17) or raw socket bound to `address` (4 or 16 octets by family), marked, with packet information,
// traffic class and error queue turned on, never fragmenting what it sends. Returns the descriptor or -errno.
int cygnet_open_socket(uint8_t family, uint8_t ip_protocol, const uint8_t *address, uint16_t port, uint32_t mark, uint32_t buffer);
// The same socket once more, for another worker: UDP bound to the port of `first`, or raw.
int cygnet_open_another_socket(int first, uint8_t family, uint8_t ip_protocol, const uint8_t *address, uint16_t port, uint32_t mark, uint32_t buffer);
// Has the kernel choose among `count` UDP sockets of one port, in the order they were bound, by the low 16 bits of the SPI of what
// comes, modulo `count`. What has no SPI, and IKE behind its four zero octets, goes to the first. Returns 0 or -errno.
int cygnet_spread_by_spi(int socket, uint32_t count);
// Has a raw socket take no packets of ESP but those that such a choice would give to number `index`. Returns 0 or -errno.
int cygnet_keep_by_spi(int socket, uint8_t family, uint32_t count, uint32_t index);

// Lets the kernel fragment what the socket sends from now on, or not.
void cygnet_set_fragmenting(int socket, uint8_t family, int allowed);
// Has the kernel put datagrams of one flow and size together on a UDP socket (UDP_GRO). Returns 0 or -errno.
int cygnet_set_coalescing(int socket);
// Whether the kernel cuts what a UDP socket is given into datagrams (UDP_SEGMENT). Returns 0 or -errno.
int cygnet_check_segmentation(int socket);
// Octets that wait in a socket to be read, and datagrams that the kernel dropped for want of room there, since it was opened.
int cygnet_socket_queue(int socket, uint32_t *waiting, uint32_t *dropped);
// The port a socket is bound to.
uint16_t cygnet_socket_port(int socket);

// The two ends of a TCP connection, as addresses and ports of a datagram.
typedef struct {
    uint8_t family;
    uint16_t local_port;
    uint16_t remote_port;
    uint8_t local[16];
    uint8_t remote[16];
} cygnet_stream_ends;
// A TCP socket that listens, marked, and never waits. Returns the descriptor or -errno.
int cygnet_listen_stream(uint8_t family, const uint8_t *address, uint16_t port, uint32_t mark);
// Takes a connection from it, as it was in the order of their coming. Returns the descriptor or -errno.
int cygnet_accept_stream(int listener, cygnet_stream_ends *ends);
// Begins to connect, marked; it is done when the socket can be written to. `local` of zeros leaves the source to the kernel. Returns
// the descriptor or -errno.
int cygnet_connect_stream(uint8_t family, const uint8_t *local, const uint8_t *remote, uint16_t port, uint32_t mark);
// What has become of that: 0 and the ends of the connection, or -errno.
int cygnet_finish_stream(int socket, cygnet_stream_ends *ends);

// What of many sockets can be read, written, or is gone.
typedef struct {
    uint64_t key;
    uint8_t readable;
    uint8_t writable;
} cygnet_readiness;
int cygnet_make_watch(void);
// Lets the process have as many descriptors as it may: each TCP connection is one.
void cygnet_allow_descriptors(void);
// Watches a socket, or changes what is looked for. Returns 0 or -errno.
int cygnet_watch(int watch, int socket, uint64_t key, int isNew, int writable);
// Waits at most so many milliseconds, or without end if negative. Returns how many are ready, or -errno.
int cygnet_wait_for_any(int watch, cygnet_readiness *ready, unsigned count, int milliseconds);

// What a TUN device leaves to us and takes from us whole. Each read and write then has a header of virtio-net in front.
enum {
    CYGNET_TUN_CHECKSUM = 1,    // checksums that stand for the pseudo-header only
    CYGNET_TUN_TCP = 2,         // TCP of up to 64 KiB, to be cut into segments
    CYGNET_TUN_UDP = 4,         // UDP likewise
};
// Opens or makes a TUN device that is gone with its descriptors. `offloads`: of CYGNET_TUN_*, those wanted, then those it has; with
// none there is no header in front. `queues`: how many descriptors are wanted, of which each has a queue of its own, then how many
// there are. Returns 0 or -errno.
int cygnet_open_tun(const char *name, uint32_t *offloads, int *descriptors, uint32_t *queues);
int cygnet_open_netlink_route(void);
// A socket for transactions of nftables. Returns the descriptor or -errno.
int cygnet_open_netlink_filter(void);
// A socket that never waits, to which the kernel tells changes of links, addresses and routes. Returns the descriptor or -errno.
int cygnet_open_netlink_monitor(void);
int cygnet_make_event(void);
int cygnet_set_network_namespace(const char *path);
void cygnet_name_thread(const char *name);
// Has the calling thread, when it is woken, not displace whoever runs (SCHED_BATCH): then more has come when its turn does.
void cygnet_wait_for_turn(void);
int64_t cygnet_monotonic_nanoseconds(void);
// Processors that this process may use.
uint32_t cygnet_processors(void);
// Time of a processor that the calling thread has had, in nanoseconds.
int64_t cygnet_thread_nanoseconds(void);

#endif
