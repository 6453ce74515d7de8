#include <errno.h>
#include <sys/socket.h>

#include "sender.h"

static sender_on_short short_sent;

void sender_init(unsigned fd_max, sender_on_short on_short)
{
    (void)fd_max;
    short_sent = on_short;
}

void sender_add(int fd)
{
    (void)fd;
}

void sender_remove(int fd)
{
    (void)fd;
}

void sender_send(int fd, const void *bytes, size_t size, void *owner)
{
    ssize_t n = send(fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n != (ssize_t)size) short_sent(owner, n < 0 ? -errno : n);
}

void sender_flush(void)
{
}
