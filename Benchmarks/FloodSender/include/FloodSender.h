#ifndef CYGNET_FLOOD_SENDER_H
#define CYGNET_FLOOD_SENDER_H

#include <stddef.h>
#include <stdint.h>

/// Sends copies of an IKE message to UDP port 500 of an IPv4 address for some time, each with another source address and port,
/// initiator's SPI and nonce, from the calling thread's network namespace, by a raw socket.
///
/// - target: network order.
/// - nonce: offset in `message` of the 32 octets of the nonce.
/// - Returns the number of datagrams handed to the kernel, or a negative errno.
int64_t cygnet_flood(const uint8_t target[4], const uint8_t *message, size_t count, size_t nonce, double per_second,
                     double seconds);

#endif
