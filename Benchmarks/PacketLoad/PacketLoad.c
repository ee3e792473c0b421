#define _GNU_SOURCE
#include "PacketLoad.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum { BATCH = 32, LONGEST = 65507, SINK_BATCH = 32, SINK_ROOM = 65536, WINDOW = 4096 };

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void put_header(uint8_t *at, uint32_t run, uint32_t sender, uint64_t number) {
    memcpy(at, &run, 4);
    memcpy(at + 4, &sender, 4);
    memcpy(at + 8, &number, 8);
}

// One message of a batch with its own source address.
typedef struct {
    struct iovec vector;
    union {
        char octets[CMSG_SPACE(sizeof(struct in_pktinfo))];
        struct cmsghdr aligned;
    } control;
} message;

static void prepare(struct mmsghdr *header, message *own, struct sockaddr_in *destination) {
    memset(header, 0, sizeof *header);
    header->msg_hdr.msg_iov = &own->vector;
    header->msg_hdr.msg_iovlen = 1;
    header->msg_hdr.msg_name = destination;
    header->msg_hdr.msg_namelen = sizeof *destination;
    memset(&own->control, 0, sizeof own->control);
    header->msg_hdr.msg_control = own->control.octets;
    header->msg_hdr.msg_controllen = sizeof own->control.octets;
    struct cmsghdr *control = CMSG_FIRSTHDR(&header->msg_hdr);
    control->cmsg_level = IPPROTO_IP;
    control->cmsg_type = IP_PKTINFO;
    control->cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo));
}

static void set_source(struct mmsghdr *header, const uint8_t source[4], uint32_t sender) {
    uint32_t address;
    memcpy(&address, source, 4);
    struct in_pktinfo information = {.ipi_spec_dst = {htonl(ntohl(address) + sender)}};
    memcpy(CMSG_DATA(CMSG_FIRSTHDR(&header->msg_hdr)), &information, sizeof information);
}

int64_t cygnet_load_send(const cygnet_load *load) {
    if (load->senders < 1 || load->senders > CYGNET_LOAD_SENDERS || load->sizes_count < 1 || load->segments < 1)
        return -EINVAL;
    for (uint32_t index = 0; index < load->sizes_count; index++) {
        if (load->sizes[index] < CYGNET_LOAD_HEADER || load->sizes[index] * load->segments > LONGEST) return -EINVAL;
    }
    if (load->segments > 1 && load->sizes_count > 1) return -EINVAL;

    int output = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (output < 0) return -errno;
    int batch = load->segments > 1 ? 1 : BATCH;
    size_t room = load->segments > 1 ? LONGEST : 1500;
    uint8_t *octets = calloc((size_t)batch, room);
    int segment = load->sizes[0];
    if (!octets || (load->segments > 1 && setsockopt(output, SOL_UDP, UDP_SEGMENT, &segment, sizeof segment) != 0)) {
        int error = octets ? errno : ENOMEM;
        free(octets);
        close(output);
        return -error;
    }
    // Short sleeps, so that a rate is not made of long bursts.
    prctl(PR_SET_TIMERSLACK, 1000UL);

    struct sockaddr_in destination = {.sin_family = AF_INET, .sin_port = htons(load->port)};
    memcpy(&destination.sin_addr, load->destination, 4);
    struct mmsghdr headers[BATCH];
    message messages[BATCH];
    for (int index = 0; index < batch; index++) prepare(&headers[index], &messages[index], &destination);

    uint64_t numbers[CYGNET_LOAD_SENDERS] = {0};
    uint64_t turn = 0;
    int64_t sent = 0;
    int64_t result = 0;
    int64_t in_batch = (int64_t)batch * load->segments;
    double begin = now();
    // What is due is counted from here.
    double origin = begin;
    int64_t since_origin = 0;
    for (double time = begin; time < begin + load->seconds; time = now()) {
        if (load->per_second > 0) {
            double due = (time - origin) * load->per_second - (double)since_origin;
            if (due < (double)in_batch) {
                double wait = ((double)in_batch - due) / load->per_second;
                usleep((useconds_t)(1e6 * (wait < 0.001 ? wait : 0.001)));
                continue;
            }
            if (due > (double)in_batch + load->per_second * 0.01) {
                origin = time;
                since_origin = -in_batch;
            }
        }
        for (int index = 0; index < batch; index++) {
            uint32_t sender = (uint32_t)((turn + (uint64_t)index) % load->senders);
            uint16_t size = load->sizes[(turn + (uint64_t)index) % load->sizes_count];
            uint8_t *at = octets + (size_t)index * room;
            for (uint32_t part = 0; part < load->segments; part++)
                put_header(at + (size_t)part * size, load->run, sender, numbers[sender]++);
            messages[index].vector = (struct iovec){at, (size_t)size * load->segments};
            set_source(&headers[index], load->source, sender);
        }
        // All of a batch are tried, since they have their numbers.
        int done = 0;
        while (done < batch) {
            int count = sendmmsg(output, headers + done, (unsigned)(batch - done), 0);
            if (count > 0) {
                done += count;
            } else if (errno != EINTR && errno != EAGAIN && errno != ENOBUFS) {
                result = -errno;
                goto end;
            }
        }
        turn += (uint64_t)batch;
        sent += in_batch;
        since_origin += in_batch;
    }
    result = sent;
end:
    free(octets);
    close(output);
    return result;
}

int cygnet_sink_open(uint16_t port, int coalesced) {
    int input = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (input < 0) return -errno;
    int size = 64 << 20;
    // Forcing needs a privilege of the first user namespace.
    if (setsockopt(input, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0)
        setsockopt(input, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    int yes = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    if ((coalesced && setsockopt(input, SOL_UDP, UDP_GRO, &yes, sizeof yes) != 0)
        || bind(input, (struct sockaddr *)&address, sizeof address) != 0) {
        int error = errno;
        close(input);
        return -error;
    }
    return input;
}

// The numbers of one sender.
typedef struct {
    uint64_t next;                  // one more than the highest received
    uint64_t seen[WINDOW / 64];     // a bit for each of the last WINDOW numbers
} sender_record;

static void count_number(sender_record *sender, uint64_t number, cygnet_sink_counts *counts) {
    uint64_t *word = &sender->seen[number % WINDOW / 64];
    uint64_t bit = 1ULL << number % 64;
    if (number >= sender->next) {
        if (number - sender->next >= WINDOW) {
            memset(sender->seen, 0, sizeof sender->seen);
        } else {
            for (uint64_t passed = sender->next; passed < number; passed++)
                sender->seen[passed % WINDOW / 64] &= ~(1ULL << passed % 64);
        }
        sender->next = number + 1;
        *word |= bit;
        counts->received++;
    } else if (sender->next - number > WINDOW) {
        counts->received++;
        counts->reordered++;
    } else if (*word & bit) {
        counts->duplicated++;
    } else {
        *word |= bit;
        counts->received++;
        counts->reordered++;
    }
}

static void take(const uint8_t *octets, size_t count, size_t size, uint32_t run, sender_record *senders,
                 cygnet_sink_counts *counts) {
    for (size_t at = 0; at + CYGNET_LOAD_HEADER <= count; at += size) {
        uint32_t header[2];
        uint64_t number;
        memcpy(header, octets + at, sizeof header);
        memcpy(&number, octets + at + 8, sizeof number);
        if (header[0] != run || header[1] >= CYGNET_LOAD_SENDERS) continue;
        uint64_t before = counts->received;
        count_number(&senders[header[1]], number, counts);
        if (counts->received > before) counts->octets += count - at < size ? count - at : size;
    }
}

int cygnet_sink_run(int socket, uint32_t run, double seconds, double idle, cygnet_sink_counts *counts) {
    memset(counts, 0, sizeof *counts);
    uint8_t *octets = malloc((size_t)SINK_BATCH * SINK_ROOM);
    sender_record *senders = calloc(CYGNET_LOAD_SENDERS, sizeof *senders);
    int result = octets && senders ? 0 : -ENOMEM;
    struct mmsghdr headers[SINK_BATCH];
    struct iovec vectors[SINK_BATCH];
    union {
        char octets[CMSG_SPACE(sizeof(int))];
        struct cmsghdr aligned;
    } controls[SINK_BATCH];
    double begin = now();
    double last = begin;
    while (result == 0) {
        double time = now();
        if (time > begin + seconds && (time > last + idle || time > begin + 2 * seconds + idle)) break;
        for (int index = 0; index < SINK_BATCH; index++) {
            vectors[index] = (struct iovec){octets + (size_t)index * SINK_ROOM, SINK_ROOM};
            memset(&headers[index], 0, sizeof headers[index]);
            headers[index].msg_hdr.msg_iov = &vectors[index];
            headers[index].msg_hdr.msg_iovlen = 1;
            headers[index].msg_hdr.msg_control = controls[index].octets;
            headers[index].msg_hdr.msg_controllen = sizeof controls[index].octets;
        }
        int received = recvmmsg(socket, headers, SINK_BATCH, 0, NULL);
        if (received < 0 && errno != EAGAIN && errno != EINTR) result = -errno;
        if (received <= 0) {
            struct pollfd entry = {.fd = socket, .events = POLLIN};
            poll(&entry, 1, 20);
            continue;
        }
        last = time;
        for (int index = 0; index < received; index++) {
            size_t size = headers[index].msg_len;
            struct msghdr *header = &headers[index].msg_hdr;
            for (struct cmsghdr *control = CMSG_FIRSTHDR(header); control; control = CMSG_NXTHDR(header, control)) {
                int segment = 0;
                if (control->cmsg_level != SOL_UDP || control->cmsg_type != UDP_GRO) continue;
                memcpy(&segment, CMSG_DATA(control), sizeof segment);
                if (segment > 0) size = (size_t)segment;
            }
            if (size > 0) take(vectors[index].iov_base, headers[index].msg_len, size, run, senders, counts);
        }
    }
    free(octets);
    free(senders);
    return result;
}
