# SPDX-License-Identifier: GPL-2.0-or-later
#
# Out of their packages, which are not installed: an sshd for session.sh, which would be started, and
# iptables of both kinds for test_foreign, which would be the machine's own.

ifneq ($(DEPS),no)
$(B)/cache/sshd/usr/sbin/sshd:
	@mkdir -p $(B)/cache/sshd
	@echo '  GET     openssh-server'
	-$(Q)cd $(B)/cache/sshd && apt-get -qq download openssh-server && dpkg -x openssh-server_*.deb .

$(B)/cache/iptables/usr/sbin/iptables-nft:
	@mkdir -p $(B)/cache/iptables
	@echo '  GET     iptables'
	-$(Q)cd $(B)/cache/iptables && apt-get -qq download iptables libip4tc2 libip6tc2 libxtables12 && \
	    for p in *.deb; do dpkg -x $$p .; done

TEST_EXTRA += $(B)/cache/iptables/usr/sbin/iptables-nft
TEST_EXTRA += $(B)/cache/sshd/usr/sbin/sshd
endif
