# A filter process, gitattributes(5), "Long Running Filter Process", that does what its first argument says. What it is told
# stands in .git/filter-log afterwards.
use strict;
use warnings;
my ($mode) = @ARGV;
binmode STDIN;
binmode STDOUT;
$| = 1;
open my $log, '>>', '.git/filter-log' or die;
$log->autoflush(1);
print $log "started\n";

sub packet {
    read(STDIN, my $length, 4) or exit 0;
    return undef if $length eq '0000';
    my $text = '';
    read(STDIN, $text, hex($length) - 4) if $length ne '0004';
    return $text;
}
sub list {
    my @lines;
    while (defined(my $line = packet())) { print $log "> $line"; push @lines, $line }
    print $log "> 0000\n";
    chomp @lines;
    return @lines;
}
sub put { printf '%04x%s', length($_[0]) + 4, $_[0] }
sub line { put("$_[0]\n") }
sub finish { print '0000' }

list();
exit 1 if $mode eq 'leaves-before-hello';
print 'hello world' if $mode eq 'talks';
line($mode eq 'other-name' ? 'git-filter-klient' : 'git-filter-server');
line($mode =~ /^version-3/ ? 'version=3' : 'version=2') unless $mode eq 'no-version';
line('version=2') if $mode eq 'version-3-and-2';
finish();
list();
exit 1 if $mode eq 'leaves-before-capabilities';
line('capability=frobnicate') if $mode eq 'other-capability';
line('frob=smudge') if $mode eq 'other-key';
line('capability=smudge') unless $mode eq 'no-smudge' or $mode eq 'no-capabilities';
line('capability=clean') unless $mode eq 'no-capabilities';
line('capability=delay') if $mode =~ /^delay/;
finish();

my ($count, @held) = (0);
while (1) {
    my %about = map { /^([^=]*)=(.*)$/s } list();
    if ($about{command} eq 'list_available_blobs') {
        exit 1 if $mode eq 'delay-leaves';
        my @ready = $mode eq 'delay-one' ? splice(@held, 0, 1) : splice(@held);
        @ready = () if $mode eq 'delay-never';
        @ready = ('nonesuch') if $mode eq 'delay-other';
        push @ready, @ready if $mode eq 'delay-twice';
        line("pathname=$_") for @ready;
        finish();
        exit 0 if $mode eq 'delay-no-status';
        line('status=' . ($mode =~ /^delay-list-(.*)/ ? $1 : 'success'));
        finish();
        next;
    }
    my $content = '';
    while (defined(my $part = packet())) { $content .= $part }
    print $log length($content), " bytes\n";
    $count++;
    if ($about{'can-delay'} and $mode =~ /^delay/) {
        push @held, $about{pathname};
        line('status=delayed');
        finish();
        next;
    }
    exit 1 if $mode eq 'leaves' or $mode eq 'leaves-at-second' and $count == 2;
    if ($mode =~ /^(?:delay-)?status-(.*)/) { line("status=$1"); finish(); next }
    if ($mode eq 'error-at-second' and $count == 2) { line('status=error'); finish(); next }
    if ($mode eq 'no-status') { finish(); next }
    if ($mode eq 'talks-instead-of-status') { print 'hello world'; next }
    line('status=success');
    finish();
    if ($mode eq 'talks-instead-of-content') { print 'hello world'; next }
    if ($mode eq 'nothing') { finish(); finish(); next }
    put("smudged $about{pathname}\n");
    exit 1 if $mode eq 'leaves-in-content';
    put(substr $content, 0, 60000, '') while length $content;
    finish();
    exit 1 if $mode eq 'leaves-after-content';
    line("status=$1") if $mode =~ /^late-(.*)/;
    line('other=thing') if $mode eq 'other-at-last';
    finish();
}
