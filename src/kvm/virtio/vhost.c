/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel as the device, see vhost.h.
 */
#include "kvm/virtio/vhost.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "base/util.h"

static int tell_memory(int fd, const struct memory *memory)
{
    union {
        struct vhost_memory table;
        uint8_t
            room[sizeof(struct vhost_memory) + MEMORY_SLOTS * sizeof(struct vhost_memory_region)];
    } u = {.table = {.nregions = memory->count}};

    for (unsigned i = 0; i < memory->count; i++)
        u.table.regions[i] = (struct vhost_memory_region){
            .guest_phys_addr = memory->slots[i].base,
            .memory_size = memory->slots[i].size,
            .userspace_addr = (uint64_t)(uintptr_t)memory->slots[i].host,
        };
    return ioctl(fd, VHOST_SET_MEM_TABLE, &u.table);
}

int vhost_open(const char *path, const struct memory *memory, uint64_t features, struct error *err)
{
    cleanup_close int fd = open(path, O_RDWR | O_CLOEXEC);
    uint64_t has;

    if (fd < 0)
        return error_set(err, errno, "open '%s'", path);
    if (ioctl(fd, VHOST_SET_OWNER) < 0 || ioctl(fd, VHOST_GET_FEATURES, &has) < 0 ||
        tell_memory(fd, memory) < 0)
        return error_set(err, errno, "set up '%s'", path);
    if (features & ~has)
        return error_set(err, 0, "'%s' lacks features %#llx", path,
                         (unsigned long long)(features & ~has));
    return steal_fd(fd);
}

int vhost_set_features(int fd, uint64_t features, struct error *err)
{
    return ioctl(fd, VHOST_SET_FEATURES, &features) < 0
               ? error_set(err, errno, "agree on features with the kernel (vhost)")
               : 0;
}

int vhost_give(int fd, unsigned index, const struct virtqueue *q, int call, int broken,
               struct error *err)
{
    struct vhost_vring_state size = {.index = index, .num = q->size};
    struct vhost_vring_state base = {.index = index, .num = q->next_avail};
    struct vhost_vring_addr addr = {
        .index = index,
        .desc_user_addr = (uint64_t)(uintptr_t)q->desc,
        .avail_user_addr = (uint64_t)(uintptr_t)q->avail,
        .used_user_addr = (uint64_t)(uintptr_t)q->used,
    };
    struct vhost_vring_file kick = {.index = index, .fd = q->kick_fd};
    struct vhost_vring_file interrupt = {.index = index, .fd = call};
    struct vhost_vring_file error = {.index = index, .fd = broken};

    if (ioctl(fd, VHOST_SET_VRING_NUM, &size) < 0 || ioctl(fd, VHOST_SET_VRING_BASE, &base) < 0 ||
        ioctl(fd, VHOST_SET_VRING_ADDR, &addr) < 0 || ioctl(fd, VHOST_SET_VRING_ERR, &error) < 0 ||
        ioctl(fd, VHOST_SET_VRING_CALL, &interrupt) < 0 ||
        ioctl(fd, VHOST_SET_VRING_KICK, &kick) < 0)
        return error_set(err, errno, "give queue %u to the kernel (vhost)", q->index);
    return 0;
}

void vhost_take_back(int fd, unsigned index, struct virtqueue *q)
{
    struct vhost_vring_file none = {.index = index, .fd = VHOST_FILE_UNBIND};
    struct vhost_vring_state base = {.index = index};

    ioctl(fd, VHOST_SET_VRING_KICK, &none);
    ioctl(fd, VHOST_SET_VRING_CALL, &none);
    if (ioctl(fd, VHOST_GET_VRING_BASE, &base) == 0)
        virtqueue_take_back(q, (uint16_t)base.num);
}
