#ifndef CYGNET_FAILING_LIBCRYPTO_H
#define CYGNET_FAILING_LIBCRYPTO_H

// A program linked with this calls libcrypto through functions of the same names, which can be told to fail. Calls that libcrypto
// makes itself never do.

/// How a call fails.
enum failure_manner {
    /// It does nothing, and gives 0 or NULL (CRYPTO_memcmp: not equal).
    failure_manner_zero = 0,
    /// It does nothing, and gives -1; only where a number is given.
    failure_manner_negative = 1,
    /// It does what it is to do, all its output is written, and then it gives 0; only where a number is given.
    failure_manner_afterwards = 2,
};

/// The functions that can fail, by index; NULL behind the last.
const char *failing_function(int index);

/// How many of the manners a function has: 1 or 3.
int failing_manners(const char *function);

/// From now on calls of the function are counted, and those from number `first` to number `last`, counted from 1, fail.
/// There is one at a time.
void failing_begin(const char *function, long first, long last, enum failure_manner manner);

/// Nothing fails any more. Gives how many calls there were.
long failing_end(void);

#endif
