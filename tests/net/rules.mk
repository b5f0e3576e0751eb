# SPDX-License-Identifier: GPL-2.0-or-later
#
# An sshd for session.sh, out of its package, which is not installed: that would start one.

ifneq ($(DEPS),no)
$(B)/cache/sshd/usr/sbin/sshd:
	@mkdir -p $(B)/cache/sshd
	@echo '  GET     openssh-server'
	-$(Q)cd $(B)/cache/sshd && apt-get -qq download openssh-server && dpkg -x openssh-server_*.deb .

TEST_EXTRA += $(B)/cache/sshd/usr/sbin/sshd
endif
