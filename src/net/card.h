/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest's network cards as its definition has them: each guest.net.N is one value,
 *
 *     network=NAME[,address=ADDRESS][,queues=N][,vhost=auto|on|off][,mac=ADDRESS][,mtu=N][,name=IF]
 *     tap[=NAME][,bridge=NAME][,queues=N][,vhost=auto|on|off][,mac=ADDRESS][,mtu=N]
 *     bridge=NAME…                          a tap (VM) or veth (container) of its own in that bridge
 *     user[,forward=PROTOCOL:[ADDRESS:]PORT[-PORT][:PORT[-PORT]]]…[,host-loopback][,mac=…][,mtu=N]
 *     none                                  no card
 *
 * NAME of a network is one of network.h; a NAME alone, without an `=`, is short for it where a
 * person types one (card_expand()). A card that is given no MAC has one that stays the same as long
 * as the guest keeps its name; on a tap that a network made for a user, that which is the tap's. Taps, queues and vhost are of VMs; who is no VM ignores the last two.
 * IF is what a container calls its interface; a VM names its own.
 */
#ifndef PULT_NET_CARD_H
#define PULT_NET_CARD_H

#include <stdint.h>

#include "base/options.h"
#include "net/address.h"

#define CARD_KEY      "guest.net."
#define CARDS_MOST    8u
#define CARD_QUEUES   16u
#define CARD_FORWARDS 64u
#define CARD_MTU_MIN  68u /* RFC 791: what every link of IP carries */

#define MAC_TEXT 18 /* "02:12:34:56:78:9a" */

enum card_kind { CARD_NONE, CARD_USER, CARD_TAP, CARD_NETWORK };
enum card_vhost { CARD_VHOST_AUTO, CARD_VHOST_ON, CARD_VHOST_OFF };

struct card {
    unsigned number; /* N of guest.net.N */
    enum card_kind kind;
    const char *tap, *bridge; /* tap: "" or NULL is one without a name; of `options` */
    const char *network;      /* of `options` */
    const char *name;         /* likewise; NULL: not said */
    struct address address;   /* in that network; family 0: not said */
    uint8_t mac[6];
    unsigned queues, mtu; /* mtu 0: not said */
    enum card_vhost vhost;
    bool host_loopback;                      /* CARD_USER: as of struct passt_request */
    const char *forwards[CARD_FORWARDS + 1]; /* passt_is_forward() of each; NULL ends them */
    struct options options;
};

struct cards {
    unsigned count;
    struct card all[CARDS_MOST];
};

/* "none", "user", "tap", "network". */
const char *card_kind_name(enum card_kind kind);
void card_mac_text(const uint8_t mac[6], char out[MAC_TEXT]);
int card_parse_mac(const char *text, uint8_t mac[6], struct error *err);
/* The address that a guest's card of this number has by itself. */
void card_make_mac(const char *guest, unsigned number, uint8_t mac[6]);

/* What can be said of one value: conf_value_fn. */
int card_is_value(const char *value, struct error *err);
/* What a person typed, as a value: "lan" is network=lan; anything else stays. Caller frees. */
char *card_expand(const char *text);
/* A value without mac= and address=, for another guest. Caller frees. */
char *card_without_addresses(const char *value);
/*
 * All of a definition, in the order of their numbers. -1: one is wrong, or two have the same
 * address or tap. Clear it in either case.
 */
int cards_read(const struct conf *conf, const char *guest, struct cards *out, struct error *err);
void cards_clear(struct cards *n);
#define cleanup_cards __attribute__((cleanup(cards_clear)))

#endif
