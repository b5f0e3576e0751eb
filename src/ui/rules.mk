# SPDX-License-Identifier: GPL-2.0-or-later
#
# The themes of the source tree as strings, for when their files are not found at run time.

$(B)/gen/ui/themes.h: $(sort $(wildcard themes/*.theme)) src/ui/rules.mk
	@mkdir -p $(@D)
	@{ echo 'static const struct { const char *name, *text; } builtin_themes[] = {'; \
	   for t in $(filter %.theme,$^); do \
	     echo "{\"$$(basename $$t .theme)\","; \
	     sed -e 's/[\\"]/\\&/g' -e 's/.*/"&\\n"/' $$t; echo '},'; \
	   done; echo '};'; } >$@

$(B)/obj/ui/theme.o: $(B)/gen/ui/themes.h
