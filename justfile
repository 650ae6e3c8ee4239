# Lists what can be done.
default:
    @just --list

# The fast loop: format, lints, tests of the core.
check:
    scripts/check

# Everything that must hold before a merge.
test:
    scripts/test

# Breaks the protocol's rules one by one, and sees that tests notice.
mutants *names:
    scripts/mutants {{names}}

# Runs a benchmark: just bench train
bench *arguments:
    scripts/bench {{arguments}}

# A long run in containers under faults of all kinds; must end with the bits of the local one.
chaos *arguments:
    scripts/chaos {{arguments}}

# A private broker: just services start|stop|status|env
services *arguments:
    scripts/services {{arguments}}
