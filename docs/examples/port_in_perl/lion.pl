#!/usr/bin/env perl
# Lion in Perl, as a port that lionk can judge: cases on standard input, answers on standard output, one a line.
#
#     lionk conform --command "perl lion.pl"
#
# Perl computes in float64 and says so in its handshake, so it is judged in that.
use strict;
use warnings;
use JSON::PP;

my $json = JSON::PP->new->canonical;

if (@ARGV && $ARGV[0] eq '--handshake') {
    print $json->encode({
        name => 'lion.pl', language => 'Perl', version => '1.1', dialects => ['lion'], dtypes => ['float64'],
        capabilities => { K => 'l1', betas => 'free', decays => ['lr_wd'] },
    }), "\n";
    exit 0;
}

sub number {    # a hexadecimal float, "nan", "inf" or "-inf"
    my ($text) = @_;
    my ($sign, $whole, $part, $power) = $text =~ /^(-?)0x([01])\.([0-9a-f]+)p([+-]\d+)$/ or return $text + 0;
    my $value = ($whole + hex($part) / 16**length $part) * 2**$power;
    return $sign ? -$value : $value;
}

sub sign { my ($c) = @_; return $c == $c ? ($c > 0) - ($c < 0) : $c }

while (my $line = <STDIN>) {
    my $case = $json->decode($line);
    my ($b1, $b2) = map { number($_) } @{ $case->{betas} };
    my $wd = number($case->{weight_decay});
    my @x = map { number($_) } @{ $case->{x0} };
    my @m = (0) x @x;
    my @grads = map { [map { number($_) } @$_] } @{ $case->{grads} };
    my @lr = map { number($_) } @{ $case->{lr} };
    my @seen;
    for my $t (0 .. $case->{steps} - 1) {
        my ($g, $lr) = ($grads[$t % @grads], $lr[$t % @lr]);
        for my $i (0 .. $#x) {
            my $c = $b1 * $m[$i] + (1 - $b1) * $g->[$i];    # the readout, with the old momentum
            $x[$i] = $x[$i] - $lr * (sign($c) + $wd * $x[$i]);
            $m[$i] = $b2 * $m[$i] + (1 - $b2) * $g->[$i];
        }
        push @seen, [map { $_ == $_ && abs $_ != 9**9**9 ? sprintf('%a', $_) : lc "$_" } @x];
    }
    print $json->encode({ id => $case->{id}, x => \@seen }), "\n";
}
