#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <linux/sock_diag.h>
#include <linux/udp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

// Room for packet information, traffic class, hop limit, segment size and options of either family.
enum { CONTROL = 320 };

// Headers older than the kernel lack these.
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

typedef union {
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} any_address;

struct cygnet_batch {
    unsigned capacity;
    struct mmsghdr *headers;
    struct iovec *vectors;
    any_address *addresses;
    union control {
        struct cmsghdr aligned;
        char octets[CONTROL];
    } *controls;
};

cygnet_batch *cygnet_batch_make(unsigned capacity) {
    cygnet_batch *batch = calloc(1, sizeof *batch);
    if (!batch) return NULL;
    batch->capacity = capacity;
    batch->headers = calloc(capacity, sizeof *batch->headers);
    batch->vectors = calloc(capacity, sizeof *batch->vectors);
    batch->addresses = calloc(capacity, sizeof *batch->addresses);
    batch->controls = calloc(capacity, sizeof *batch->controls);
    if (!batch->headers || !batch->vectors || !batch->addresses || !batch->controls) {
        cygnet_batch_free(batch);
        return NULL;
    }
    for (unsigned i = 0; i < capacity; i++) {
        struct msghdr *header = &batch->headers[i].msg_hdr;
        header->msg_iov = &batch->vectors[i];
        header->msg_iovlen = 1;
        header->msg_name = &batch->addresses[i];
        header->msg_control = batch->controls[i].octets;
    }
    return batch;
}

void cygnet_batch_free(cygnet_batch *batch) {
    if (!batch) return;
    free(batch->headers);
    free(batch->vectors);
    free(batch->addresses);
    free(batch->controls);
    free(batch);
}

static void read_address(const any_address *from, uint8_t *family, uint8_t *address, uint16_t *port) {
    if (from->v4.sin_family == AF_INET) {
        *family = 4;
        memcpy(address, &from->v4.sin_addr, 4);
        *port = ntohs(from->v4.sin_port);
    } else {
        *family = 6;
        memcpy(address, &from->v6.sin6_addr, 16);
        *port = ntohs(from->v6.sin6_port);
    }
}

int cygnet_receive(cygnet_batch *batch, int socket, cygnet_datagram *datagrams, unsigned count) {
    if (count > batch->capacity) count = batch->capacity;
    for (unsigned i = 0; i < count; i++) {
        struct msghdr *header = &batch->headers[i].msg_hdr;
        batch->vectors[i].iov_base = datagrams[i].octets;
        batch->vectors[i].iov_len = datagrams[i].capacity;
        header->msg_namelen = sizeof(any_address);
        header->msg_controllen = CONTROL;
        header->msg_flags = 0;
    }
    int received = recvmmsg(socket, batch->headers, count, MSG_DONTWAIT, NULL);
    if (received < 0) return -errno;
    for (int i = 0; i < received; i++) {
        struct msghdr *header = &batch->headers[i].msg_hdr;
        cygnet_datagram *datagram = &datagrams[i];
        datagram->count = batch->headers[i].msg_len;
        datagram->truncated = (header->msg_flags & MSG_TRUNC) != 0;
        datagram->has_local = 0;
        datagram->traffic_class = 0;
        datagram->hop_limit = 0;
        datagram->interface = 0;
        datagram->segment_size = 0;
        datagram->stream = 0;
        datagram->fragment_size = 0;
        read_address(&batch->addresses[i], &datagram->family, datagram->remote, &datagram->remote_port);
        for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
            if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
                struct in_pktinfo info;
                memcpy(&info, CMSG_DATA(c), sizeof info);
                memcpy(datagram->local, &info.ipi_addr, 4);
                datagram->interface = info.ipi_ifindex;
                datagram->has_local = 1;
            } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
                struct in6_pktinfo info;
                memcpy(&info, CMSG_DATA(c), sizeof info);
                memcpy(datagram->local, &info.ipi6_addr, 16);
                datagram->interface = info.ipi6_ifindex;
                datagram->has_local = 1;
            } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
                datagram->traffic_class = *CMSG_DATA(c);
            } else if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TTL)
                || (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_HOPLIMIT)) {
                int value;
                memcpy(&value, CMSG_DATA(c), sizeof value);
                datagram->hop_limit = (uint8_t)value;
            } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
                int value;
                memcpy(&value, CMSG_DATA(c), sizeof value);
                datagram->traffic_class = (uint8_t)value;
            } else if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVFRAGSIZE)
                || (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVFRAGSIZE)) {
                int value;
                memcpy(&value, CMSG_DATA(c), sizeof value);
                datagram->fragment_size = value > 0 ? (uint32_t)value : 0;
            } else if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
                int value;
                memcpy(&value, CMSG_DATA(c), sizeof value);
                datagram->segment_size = value > 0 ? (uint32_t)value : 0;
            }
        }
    }
    return received;
}

static struct cmsghdr *add_control(struct msghdr *header, int level, int type, const void *data, size_t count) {
    struct cmsghdr *c = (struct cmsghdr *)((char *)header->msg_control + header->msg_controllen);
    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(count);
    memcpy(CMSG_DATA(c), data, count);
    header->msg_controllen += CMSG_SPACE(count);
    return c;
}

int cygnet_send(cygnet_batch *batch, int socket, const cygnet_datagram *datagrams, unsigned count) {
    if (count > batch->capacity) count = batch->capacity;
    for (unsigned i = 0; i < count; i++) {
        const cygnet_datagram *datagram = &datagrams[i];
        struct msghdr *header = &batch->headers[i].msg_hdr;
        any_address *to = &batch->addresses[i];
        int class = datagram->traffic_class;
        int hops = datagram->hop_limit;
        batch->vectors[i].iov_base = datagram->octets;
        batch->vectors[i].iov_len = datagram->count;
        header->msg_controllen = 0;
        header->msg_flags = 0;
        memset(to, 0, sizeof *to);
        if (datagram->family == 4) {
            to->v4.sin_family = AF_INET;
            to->v4.sin_port = htons(datagram->remote_port);
            memcpy(&to->v4.sin_addr, datagram->remote, 4);
            header->msg_namelen = sizeof to->v4;
            if (datagram->has_local) {
                struct in_pktinfo info = {0};
                memcpy(&info.ipi_spec_dst, datagram->local, 4);
                add_control(header, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
            }
            add_control(header, IPPROTO_IP, IP_TOS, &class, sizeof class);
            if (hops) add_control(header, IPPROTO_IP, IP_TTL, &hops, sizeof hops);
            if (datagram->options_count && datagram->options_count <= 40)
                add_control(header, IPPROTO_IP, IP_RETOPTS, datagram->options, datagram->options_count);
        } else {
            to->v6.sin6_family = AF_INET6;
            to->v6.sin6_port = htons(datagram->remote_port);
            memcpy(&to->v6.sin6_addr, datagram->remote, 16);
            header->msg_namelen = sizeof to->v6;
            if (datagram->has_local) {
                struct in6_pktinfo info = {0};
                memcpy(&info.ipi6_addr, datagram->local, 16);
                info.ipi6_ifindex = datagram->interface;
                add_control(header, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
            }
            add_control(header, IPPROTO_IPV6, IPV6_TCLASS, &class, sizeof class);
            if (hops) add_control(header, IPPROTO_IPV6, IPV6_HOPLIMIT, &hops, sizeof hops);
            if (datagram->options_count && datagram->options_count <= 128)
                add_control(header, IPPROTO_IPV6, IPV6_HOPOPTS, datagram->options, datagram->options_count);
        }
        if (datagram->segment_size && datagram->segment_size < datagram->count) {
            uint16_t size = (uint16_t)datagram->segment_size;
            add_control(header, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof size);
        }
    }
    int sent = sendmmsg(socket, batch->headers, count, MSG_DONTWAIT);
    return sent < 0 ? -errno : sent;
}

int cygnet_receive_error(int socket, uint8_t *octets, uint32_t capacity, cygnet_socket_error *error) {
    any_address to;
    union {
        struct cmsghdr aligned;
        char octets[512];
    } control;
    struct iovec vector = {.iov_base = octets, .iov_len = capacity};
    struct msghdr header = {
        .msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &vector, .msg_iovlen = 1,
        .msg_control = control.octets, .msg_controllen = sizeof control.octets,
    };
    memset(&to, 0, sizeof to);
    memset(error, 0, sizeof *error);
    ssize_t count = recvmsg(socket, &header, MSG_ERRQUEUE | MSG_DONTWAIT);
    if (count < 0) return 0;
    error->count = (uint32_t)count;
    read_address(&to, &error->family, error->remote, &error->remote_port);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c)) {
        if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR)
            || (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR)) {
            struct sock_extended_err extended;
            memcpy(&extended, CMSG_DATA(c), sizeof extended);
            error->error = extended.ee_errno;
            error->info = extended.ee_info;
            error->origin = extended.ee_origin;
            error->type = extended.ee_type;
            error->code = extended.ee_code;
        }
    }
    return 1;
}

static int set(int socket, int level, int option, int value) {
    return setsockopt(socket, level, option, &value, sizeof value);
}

static int open_socket(uint8_t family, uint8_t ip_protocol, const uint8_t *address, uint16_t port, uint32_t mark, uint32_t buffer,
    int shares) {
    int v4 = family == 4;
    int type = ip_protocol == IPPROTO_UDP ? SOCK_DGRAM : SOCK_RAW;
    int s = socket(v4 ? AF_INET : AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, ip_protocol);
    if (s < 0) return -errno;
    any_address at;
    memset(&at, 0, sizeof at);
    // The forms with FORCE pass the limits of net.core and need CAP_NET_ADMIN; without it the limits hold.
    if (set(s, SOL_SOCKET, SO_RCVBUFFORCE, (int)buffer)) set(s, SOL_SOCKET, SO_RCVBUF, (int)buffer);
    if (set(s, SOL_SOCKET, SO_SNDBUFFORCE, (int)buffer)) set(s, SOL_SOCKET, SO_SNDBUF, (int)buffer);
    int failed = set(s, SOL_SOCKET, SO_MARK, (int)mark) || (shares && set(s, SOL_SOCKET, SO_REUSEPORT, 1));
    if (v4) {
        failed = failed || set(s, IPPROTO_IP, IP_PKTINFO, 1) || set(s, IPPROTO_IP, IP_RECVTOS, 1)
            || set(s, IPPROTO_IP, IP_RECVTTL, 1)
            || set(s, IPPROTO_IP, IP_RECVERR, 1) || set(s, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
        // A kernel before 4.10 does not tell of fragments.
        set(s, IPPROTO_IP, IP_RECVFRAGSIZE, 1);
        at.v4.sin_family = AF_INET;
        at.v4.sin_port = type == SOCK_RAW ? 0 : htons(port);
        memcpy(&at.v4.sin_addr, address, 4);
    } else {
        // A raw socket of IPv6 never sees IPv4, and refuses to be told.
        failed = failed || (type == SOCK_DGRAM && set(s, IPPROTO_IPV6, IPV6_V6ONLY, 1)) || set(s, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
            || set(s, IPPROTO_IPV6, IPV6_RECVTCLASS, 1)
            || set(s, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1) || set(s, IPPROTO_IPV6, IPV6_RECVERR, 1)
            || set(s, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE) || set(s, IPPROTO_IPV6, IPV6_DONTFRAG, 1);
        set(s, IPPROTO_IPV6, IPV6_RECVFRAGSIZE, 1);
        at.v6.sin6_family = AF_INET6;
        at.v6.sin6_port = type == SOCK_RAW ? 0 : htons(port);
        memcpy(&at.v6.sin6_addr, address, 16);
    }
    if (failed || bind(s, (struct sockaddr *)&at, v4 ? sizeof at.v4 : sizeof at.v6)) {
        int error = errno;
        close(s);
        return -error;
    }
    return s;
}

int cygnet_open_socket(uint8_t family, uint8_t ip_protocol, const uint8_t *address, uint16_t port, uint32_t mark, uint32_t buffer) {
    return open_socket(family, ip_protocol, address, port, mark, buffer, 0);
}

int cygnet_open_another_socket(int first, uint8_t family, uint8_t ip_protocol, const uint8_t *address, uint16_t port, uint32_t mark, uint32_t buffer) {
    int shares = ip_protocol == IPPROTO_UDP;
    // The first was bound alone, so that a port that somebody else has is found out, and lets others in only now.
    if (shares && set(first, SOL_SOCKET, SO_REUSEPORT, 1)) return -errno;
    return open_socket(family, ip_protocol, address, port, mark, buffer, shares);
}

int cygnet_spread_by_spi(int s, uint32_t count) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xffff),
        BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, count),
        BPF_STMT(BPF_RET | BPF_A, 0),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
    return setsockopt(s, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program) ? -errno : 0;
}

int cygnet_keep_by_spi(int s, uint8_t family, uint32_t count, uint32_t index) {
    // A raw socket of IPv4 is given the IP header as well.
    struct sock_filter header = BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0);
    struct sock_filter none = BPF_STMT(BPF_LDX | BPF_W | BPF_IMM, 0);
    struct sock_filter code[] = {
        family == 4 ? header : none,
        BPF_STMT(BPF_LD | BPF_W | BPF_IND, 0),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xffff),
        BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, count),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, index, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
    return setsockopt(s, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) ? -errno : 0;
}

void cygnet_set_fragmenting(int s, uint8_t family, int allowed) {
    if (family == 4) {
        set(s, IPPROTO_IP, IP_MTU_DISCOVER, allowed ? IP_PMTUDISC_DONT : IP_PMTUDISC_PROBE);
    } else {
        set(s, IPPROTO_IPV6, IPV6_MTU_DISCOVER, allowed ? IPV6_PMTUDISC_DONT : IPV6_PMTUDISC_PROBE);
        set(s, IPPROTO_IPV6, IPV6_DONTFRAG, !allowed);
    }
}

int cygnet_set_coalescing(int s) {
    return set(s, IPPROTO_UDP, UDP_GRO, 1) ? -errno : 0;
}

int cygnet_check_segmentation(int s) {
    return set(s, IPPROTO_UDP, UDP_SEGMENT, 0) ? -errno : 0;
}

int cygnet_socket_queue(int s, uint32_t *waiting, uint32_t *dropped) {
    uint32_t values[SK_MEMINFO_VARS] = {0};
    socklen_t count = sizeof values;
    if (getsockopt(s, SOL_SOCKET, SO_MEMINFO, values, &count)) return -errno;
    *waiting = values[SK_MEMINFO_RMEM_ALLOC];
    *dropped = values[SK_MEMINFO_DROPS];
    return 0;
}

uint16_t cygnet_socket_port(int socket) {
    any_address at;
    socklen_t count = sizeof at;
    memset(&at, 0, sizeof at);
    if (getsockname(socket, (struct sockaddr *)&at, &count)) return 0;
    return ntohs(at.v4.sin_family == AF_INET ? at.v4.sin_port : at.v6.sin6_port);
}

static socklen_t write_address(any_address *to, uint8_t family, const uint8_t *address, uint16_t port) {
    memset(to, 0, sizeof *to);
    if (family == 4) {
        to->v4.sin_family = AF_INET;
        to->v4.sin_port = htons(port);
        memcpy(&to->v4.sin_addr, address, 4);
        return sizeof to->v4;
    }
    to->v6.sin6_family = AF_INET6;
    to->v6.sin6_port = htons(port);
    memcpy(&to->v6.sin6_addr, address, 16);
    return sizeof to->v6;
}

// Nothing waits for company, a peer that is silent is noticed within 20 s while there is something to send, and little waits unsent:
// what is late is better sent by the other end of the tunnel once more. One flow label for all connections of a host, so that it
// stays as it is over reconnections.
static int tune_stream(int s, uint8_t family) {
    set(s, IPPROTO_TCP, TCP_USER_TIMEOUT, 20000);
    set(s, IPPROTO_TCP, TCP_NOTSENT_LOWAT, 128 << 10);
    if (family == 6) set(s, IPPROTO_IPV6, IPV6_AUTOFLOWLABEL, 0);
    return set(s, IPPROTO_TCP, TCP_NODELAY, 1);
}

static int open_stream(uint8_t family, uint32_t mark) {
    int s = socket(family == 4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (s < 0) return -errno;
    if (set(s, SOL_SOCKET, SO_MARK, (int)mark) || (family == 6 && set(s, IPPROTO_IPV6, IPV6_V6ONLY, 1)) || tune_stream(s, family)) {
        int error = errno;
        close(s);
        return -error;
    }
    return s;
}

int cygnet_listen_stream(uint8_t family, const uint8_t *address, uint16_t port, uint32_t mark) {
    int s = open_stream(family, mark);
    if (s < 0) return s;
    any_address at;
    socklen_t count = write_address(&at, family, address, port);
    if (set(s, SOL_SOCKET, SO_REUSEADDR, 1) || bind(s, (struct sockaddr *)&at, count) || listen(s, 256)) {
        int error = errno;
        close(s);
        return -error;
    }
    return s;
}

static int read_ends(int s, cygnet_stream_ends *ends) {
    any_address local, remote;
    socklen_t count = sizeof local;
    memset(&local, 0, sizeof local);
    memset(&remote, 0, sizeof remote);
    if (getsockname(s, (struct sockaddr *)&local, &count)) return -errno;
    count = sizeof remote;
    if (getpeername(s, (struct sockaddr *)&remote, &count)) return -errno;
    read_address(&local, &ends->family, ends->local, &ends->local_port);
    read_address(&remote, &ends->family, ends->remote, &ends->remote_port);
    return 0;
}

int cygnet_accept_stream(int listener, cygnet_stream_ends *ends) {
    int s = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (s < 0) return -errno;
    int result = read_ends(s, ends);
    if (result == 0) tune_stream(s, ends->family);
    if (result) close(s);
    return result ? result : s;
}

int cygnet_connect_stream(uint8_t family, const uint8_t *local, const uint8_t *remote, uint16_t port, uint32_t mark) {
    static const uint8_t anywhere[16];
    int s = open_stream(family, mark);
    if (s < 0) return s;
    any_address at;
    socklen_t count;
    int failed = 0;
    if (memcmp(local, anywhere, family == 4 ? 4 : 16)) {
        // Which port is chosen when the other end is known, so that many connections can have the same.
        set(s, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
        count = write_address(&at, family, local, 0);
        failed = bind(s, (struct sockaddr *)&at, count);
    }
    count = write_address(&at, family, remote, port);
    if (failed || (connect(s, (struct sockaddr *)&at, count) && errno != EINPROGRESS)) {
        int error = errno;
        close(s);
        return -error;
    }
    return s;
}

int cygnet_finish_stream(int s, cygnet_stream_ends *ends) {
    int error = 0;
    socklen_t count = sizeof error;
    if (getsockopt(s, SOL_SOCKET, SO_ERROR, &error, &count)) return -errno;
    return error ? -error : read_ends(s, ends);
}

int cygnet_make_watch(void) {
    int watch = epoll_create1(EPOLL_CLOEXEC);
    return watch < 0 ? -errno : watch;
}

void cygnet_allow_descriptors(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= limit.rlim_max) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int cygnet_watch(int watch, int socket, uint64_t key, int isNew, int writable) {
    struct epoll_event event = {.events = EPOLLIN | (writable ? EPOLLOUT : 0), .data = {.u64 = key}};
    return epoll_ctl(watch, isNew ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, socket, &event) ? -errno : 0;
}

int cygnet_wait_for_any(int watch, cygnet_readiness *ready, unsigned count, int milliseconds) {
    struct epoll_event events[64];
    if (count > 64) count = 64;
    int found = epoll_wait(watch, events, (int)count, milliseconds);
    if (found < 0) return -errno;
    for (int i = 0; i < found; i++) {
        ready[i].key = events[i].data.u64;
        ready[i].readable = (events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0;
        ready[i].writable = (events[i].events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0;
    }
    return found;
}

// Asks for all that is wanted, then for less: kernels before 6.2 do not cut UDP.
static uint32_t set_offloads(int tun, uint32_t wanted) {
    static const uint32_t choices[] = {
        CYGNET_TUN_CHECKSUM | CYGNET_TUN_TCP | CYGNET_TUN_UDP, CYGNET_TUN_CHECKSUM | CYGNET_TUN_TCP, CYGNET_TUN_CHECKSUM,
    };
    for (unsigned i = 0; i < sizeof choices / sizeof *choices; i++) {
        uint32_t some = choices[i] & wanted;
        unsigned long flags = 0;
        if (some & CYGNET_TUN_CHECKSUM) flags |= TUN_F_CSUM;
        if (some & CYGNET_TUN_TCP) flags |= TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
        if (some & CYGNET_TUN_UDP) flags |= TUN_F_USO4 | TUN_F_USO6;
        if (ioctl(tun, TUNSETOFFLOAD, flags) == 0) return some;
    }
    return 0;
}

static int open_queue(const char *name, short flags) {
    struct ifreq request;
    memset(&request, 0, sizeof request);
    strcpy(request.ifr_name, name);
    request.ifr_flags = flags;
    int tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (tun < 0) return -errno;
    if (ioctl(tun, TUNSETIFF, &request) < 0) {
        int error = errno;
        close(tun);
        return -error;
    }
    return tun;
}

int cygnet_open_tun(const char *name, uint32_t *offloads, int *descriptors, uint32_t *queues) {
    if (strlen(name) >= IFNAMSIZ) return -ENAMETOOLONG;
    short flags = IFF_TUN | IFF_NO_PI | (*offloads ? IFF_VNET_HDR : 0);
    if (*queues > 1) flags |= IFF_MULTI_QUEUE;
    // A device of several queues would let another daemon in beside us.
    descriptors[0] = open_queue(name, *queues > 1 ? flags | IFF_TUN_EXCL : flags);
    if (descriptors[0] == -EINVAL && *queues > 1) {
        *queues = 1;
        return cygnet_open_tun(name, offloads, descriptors, queues);
    }
    if (descriptors[0] < 0) return descriptors[0];
    if (*offloads && !(*offloads = set_offloads(descriptors[0], *offloads))) {
        // Then the header would only be in the way.
        close(descriptors[0]);
        return cygnet_open_tun(name, offloads, descriptors, queues);
    }
    for (uint32_t i = 1; i < *queues; i++) {
        descriptors[i] = open_queue(name, flags);
        if (descriptors[i] < 0) {
            int error = descriptors[i];
            while (i > 0) close(descriptors[--i]);
            return error;
        }
    }
    return 0;
}

int cygnet_open_netlink_monitor(void) {
    int s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (s < 0) return -errno;
    struct sockaddr_nl at = {
        .nl_family = AF_NETLINK,
        .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE,
    };
    if (bind(s, (struct sockaddr *)&at, sizeof at)) {
        int error = errno;
        close(s);
        return -error;
    }
    return s;
}

int cygnet_open_netlink_route(void) {
    int s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (s < 0) return -errno;
    struct sockaddr_nl at = {.nl_family = AF_NETLINK};
    int one = 1;
    // Dumps filtered by the kernel where it can, and whole acknowledgements with the reason in words.
    setsockopt(s, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &one, sizeof one);
    setsockopt(s, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof one);
    setsockopt(s, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof one);
    if (bind(s, (struct sockaddr *)&at, sizeof at)) {
        int error = errno;
        close(s);
        return -error;
    }
    return s;
}

int cygnet_open_netlink_filter(void) {
    int s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
    if (s < 0) return -errno;
    struct sockaddr_nl at = {.nl_family = AF_NETLINK};
    struct timeval patience = {.tv_sec = 5};
    int one = 1, room = 32 << 20;
    setsockopt(s, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof one);
    setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    // A transaction is one datagram, however large.
    if (setsockopt(s, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room)) setsockopt(s, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    if (bind(s, (struct sockaddr *)&at, sizeof at)) {
        int error = errno;
        close(s);
        return -error;
    }
    return s;
}

int cygnet_make_event(void) {
    int e = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return e < 0 ? -errno : e;
}

int cygnet_set_network_namespace(const char *path) {
    int space = open(path, O_RDONLY | O_CLOEXEC);
    if (space < 0) return -errno;
    int result = setns(space, CLONE_NEWNET) ? -errno : 0;
    close(space);
    return result;
}

void cygnet_name_thread(const char *name) {
    pthread_setname_np(pthread_self(), name);
}

void cygnet_wait_for_turn(void) {
    struct sched_param parameters = {0};
    sched_setscheduler(0, SCHED_BATCH, &parameters);
}

int64_t cygnet_monotonic_nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

uint32_t cygnet_processors(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set)) return 1;
    return (uint32_t)CPU_COUNT(&set);
}

int64_t cygnet_thread_nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}
