#ifndef CYGNET_CLINUX_H
#define CYGNET_CLINUX_H
#endif
