/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The network device's control queue (virtio 1.2, 5.1.6.5), and the filter that it sets.
 *
 * A command is a class, a command of it, its data, and a byte for the answer. What the device does
 * not know, or is of the wrong length, or asks for what cannot be, is answered with VIRTIO_NET_ERR
 * and changes nothing.
 */
#include <endian.h>
#include <linux/if_ether.h>
#include <string.h>

#include "base/util.h"
#include "kvm/virtio/net_private.h"

/* ---- the filter ---- */

static bool has_mode(const struct net_filter *f, enum net_mode mode)
{
    return f->modes >> mode & 1;
}

static void set_mode(struct net_filter *f, enum net_mode mode, bool on)
{
    f->modes = (uint16_t)((f->modes & ~(1u << mode)) | (unsigned)on << mode);
}

void net_filter_reset(struct net *n)
{
    pthread_rwlock_wrlock(&n->lock);
    n->filter = (struct net_filter){0};
    pthread_rwlock_unlock(&n->lock);
}

static bool in_table(const struct net_filter *f, unsigned first, unsigned count,
                     const uint8_t mac[6])
{
    for (unsigned i = first; i < first + count; i++)
        if (memcmp(f->macs[i], mac, 6) == 0)
            return true;
    return false;
}

static bool vlan_wanted(const struct net_filter *f, const uint8_t frame[18])
{
    const unsigned type = (unsigned)frame[12] << 8 | frame[13];
    const unsigned vlan = (frame[14] & 0x0fu) << 8 | frame[15];

    return type != ETH_P_8021Q || (f->vlans[vlan / 8] >> vlan % 8 & 1);
}

/* 5.1.6.5.1 */
static bool address_wanted(const struct net *n, const uint8_t mac[6])
{
    static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    const struct net_filter *f = &n->filter;

    if (memcmp(mac, broadcast, 6) == 0)
        return !has_mode(f, NET_NO_BROADCAST);
    if (mac[0] & 1)
        return !has_mode(f, NET_NO_MULTICAST) &&
               (has_mode(f, NET_ALL_MULTICAST) || has_mode(f, NET_MORE_MULTICAST) ||
                in_table(f, f->unicasts, f->multicasts, mac));
    return !has_mode(f, NET_NO_UNICAST) &&
           (has_mode(f, NET_ALL_UNICAST) || has_mode(f, NET_MORE_UNICAST) ||
            memcmp(mac, n->device->config, 6) == 0 || in_table(f, 0, f->unicasts, mac));
}

bool net_wanted(const struct net *n, const uint8_t frame[18])
{
    const struct net_filter *f = &n->filter;

    if (!net_has(n, VIRTIO_NET_F_CTRL_RX) || has_mode(f, NET_PROMISCUOUS))
        return true;
    if (net_has(n, VIRTIO_NET_F_CTRL_VLAN) && !vlan_wanted(f, frame))
        return false;
    return address_wanted(n, frame);
}

/* ---- commands ---- */

/* All of them: the data must be of exactly this length. */
static bool take(struct chain *c, void *data, size_t len)
{
    return chain_readable(c) == len && chain_read(c, data, len) == len;
}

static bool set_receive_mode(struct net *n, uint8_t command, struct chain *c)
{
    uint8_t on;

    if (command > VIRTIO_NET_CTRL_RX_NOBCAST || !take(c, &on, sizeof(on)) || on > 1 ||
        !net_has(n, command > VIRTIO_NET_CTRL_RX_ALLMULTI ? VIRTIO_NET_F_CTRL_RX_EXTRA
                                                          : VIRTIO_NET_F_CTRL_RX))
        return false;
    pthread_rwlock_wrlock(&n->lock);
    set_mode(&n->filter, (enum net_mode)command, on);
    pthread_rwlock_unlock(&n->lock);
    return true;
}

/* One of the two lists of MAC_TABLE_SET: as many as there is room for. */
static bool take_macs(struct chain *c, struct net_filter *f, uint16_t *count, enum net_mode more)
{
    const unsigned first = f->unicasts;
    uint32_t entries;

    if (chain_read(c, &entries, sizeof(entries)) != sizeof(entries))
        return false;
    entries = le32toh(entries);
    if (entries > chain_readable(c) / 6)
        return false;
    set_mode(f, more, entries > NET_MACS - first);
    if (has_mode(f, more)) {
        chain_read(c, NULL, 6ul * entries);
        return true;
    }
    chain_read(c, f->macs[first], 6ul * entries);
    *count = (uint16_t)entries;
    return true;
}

/* 5.1.6.5.2: two lists, of which the first is for unicast, and nothing behind them. */
static bool set_table(struct net *n, struct chain *c)
{
    struct net_filter new;

    if (!net_has(n, VIRTIO_NET_F_CTRL_RX))
        return false;
    pthread_rwlock_rdlock(&n->lock);
    new = n->filter;
    pthread_rwlock_unlock(&n->lock);
    new.unicasts = new.multicasts = 0;
    if (!take_macs(c, &new, &new.unicasts, NET_MORE_UNICAST) ||
        !take_macs(c, &new, &new.multicasts, NET_MORE_MULTICAST) || chain_readable(c))
        return false;
    pthread_rwlock_wrlock(&n->lock);
    n->filter = new; /* only this queue changes it */
    pthread_rwlock_unlock(&n->lock);
    return true;
}

static bool set_address(struct net *n, struct chain *c)
{
    uint8_t mac[6];

    if (!net_has(n, VIRTIO_NET_F_CTRL_MAC_ADDR) || !take(c, mac, sizeof(mac)) || (mac[0] & 1))
        return false;
    pthread_rwlock_wrlock(&n->lock);
    pthread_mutex_lock(&n->device->lock);
    memcpy(n->device->config, mac, sizeof(mac));
    n->device->generation++;
    pthread_mutex_unlock(&n->device->lock);
    pthread_rwlock_unlock(&n->lock);
    return true;
}

static bool set_macs(struct net *n, uint8_t command, struct chain *c)
{
    if (command == VIRTIO_NET_CTRL_MAC_TABLE_SET)
        return set_table(n, c);
    return command == VIRTIO_NET_CTRL_MAC_ADDR_SET && set_address(n, c);
}

static bool set_vlan(struct net *n, uint8_t command, struct chain *c)
{
    uint16_t vlan;

    if (!net_has(n, VIRTIO_NET_F_CTRL_VLAN) || command > VIRTIO_NET_CTRL_VLAN_DEL ||
        !take(c, &vlan, sizeof(vlan)) || (vlan = le16toh(vlan)) >= NET_VLANS)
        return false;
    pthread_rwlock_wrlock(&n->lock);
    const uint8_t bit = (uint8_t)(1u << vlan % 8);
    if (command == VIRTIO_NET_CTRL_VLAN_ADD)
        n->filter.vlans[vlan / 8] |= bit;
    else
        n->filter.vlans[vlan / 8] &= (uint8_t)~bit;
    pthread_rwlock_unlock(&n->lock);
    return true;
}

/* 5.1.6.5.4 */
static bool acknowledge_announce(struct net *n, uint8_t command, struct chain *c)
{
    if (!net_has(n, VIRTIO_NET_F_GUEST_ANNOUNCE) || command != VIRTIO_NET_CTRL_ANNOUNCE_ACK ||
        !take(c, NULL, 0))
        return false;
    net_change_status(n, 0, VIRTIO_NET_S_ANNOUNCE, false);
    return true;
}

/* 5.1.6.5.5 */
static bool set_pairs(struct net *n, uint8_t command, struct chain *c)
{
    uint16_t pairs;

    if (!net_has(n, VIRTIO_NET_F_MQ) || command != VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET ||
        !take(c, &pairs, sizeof(pairs)))
        return false;
    pairs = le16toh(pairs);
    if (pairs < VIRTIO_NET_CTRL_MQ_VQ_PAIRS_MIN || pairs > n->pair_count)
        return false;
    net_set_active(n, pairs);
    return true;
}

/* 5.1.6.5.7 */
static bool set_offloads(struct net *n, uint8_t command, struct chain *c)
{
    uint64_t offloads;

    if (!net_has(n, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) ||
        command != VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET || !take(c, &offloads, sizeof(offloads)))
        return false;
    offloads = le64toh(offloads);
    if (offloads & ~(n->device->features & NET_GUEST_OFFLOADS))
        return false;
    net_set_offloads(n, offloads);
    return true;
}

static bool (*const classes[])(struct net *n, uint8_t command, struct chain *c) = {
    [VIRTIO_NET_CTRL_RX] = set_receive_mode, [VIRTIO_NET_CTRL_MAC] = set_macs,
    [VIRTIO_NET_CTRL_VLAN] = set_vlan,       [VIRTIO_NET_CTRL_ANNOUNCE] = acknowledge_announce,
    [VIRTIO_NET_CTRL_MQ] = set_pairs,        [VIRTIO_NET_CTRL_GUEST_OFFLOADS] = set_offloads,
};

void net_control(struct virtqueue *q)
{
    struct net *n = q->device->state;
    struct virtio_net_ctrl_hdr header;
    struct chain c;

    while (virtqueue_pop(q, &c)) {
        if (!chain_writable(&c)) {
            virtio_fail(q->device, "a control command without room for an answer");
            return;
        }
        bool ok = chain_read(&c, &header, sizeof(header)) == sizeof(header) &&
                  header.class < ARRAY_SIZE(classes) && classes[header.class] &&
                  classes[header.class](n, header.cmd, &c);
        const uint8_t answer = ok ? VIRTIO_NET_OK : VIRTIO_NET_ERR;
        chain_write(&c, &answer, 1);
        virtqueue_push(q, &c, c.written);
    }
}
