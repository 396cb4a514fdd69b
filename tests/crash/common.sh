# What the scripts of this folder share: the programs that they try, and a power cut. To be sourced.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
programs=${CARGO_TARGET_DIR:-$here/target}/debug

# The packages that the demo and the tests build too, so that nothing is built twice.
build_programs() {
    (cd "$here" && cargo build --quiet --package trials --package gateway --package agent --bins)
}

# Shuts a file system down below the page cache, without flushing its log: from one instant on nothing
# more reaches the device, and every sync fails.
cut_power() { # mount point
    perl -e 'open(my $fs, "<", $ARGV[0]) or die "open: $!\n";
             my $without_flush = pack("L", 2);
             ioctl($fs, 0x8004587d, $without_flush) or die "EXT4_IOC_SHUTDOWN: $!\n";' "$1"
}
