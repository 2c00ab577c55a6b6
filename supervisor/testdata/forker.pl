# A process that is not ours to program, but forks workers for us: each by a process
# in the middle that kills itself, so that the worker goes to the nearest subreaper.
#
# A line "LIFE STATUS" on stdin asks for one. Stdout says "worker PID", and "forked"
# when the process in the middle has been collected. Workers that live wait for the
# end of descriptor 3, and then exit with STATUS.
use strict;
use warnings;
use POSIX ();

$^F = 3;    # descriptor 3 stays open in what is executed

my %worker = (
    ends     => sub { },
    dead     => sub { },      # before its parent
    lives    => \&gate,
    foreign  => \&gate,       # in another session than ours
    leads    => sub { POSIX::setpgid(0, 0); gate() },
    session  => sub { POSIX::setsid(); gate() },
    executes => sub { run("read -r x <&3; exit $_[0]") },
    executed => sub { run("exit $_[0]") },    # and dead before its parent
    family   => \&family,
);

while (my $line = <STDIN>) {
    my ($life, $status) = split ' ', $line;
    my $middle = spawn();
    middle($life, $status) if !$middle;
    waitpid($middle, 0);
    say_line("forked $middle");
}

sub middle {
    my ($life, $status) = @_;
    POSIX::setsid() if $life eq 'foreign';
    my $pid = spawn();
    if (!$pid) {
        $worker{$life}->($status);
        POSIX::_exit($status);
    }
    say_line("worker $pid");
    await_end($pid) if $life =~ /^(?:dead|executed)$/;
    kill KILL => $$;
    sleep 60;
}

# One line in the gate makes it start a member of its group.
sub family {
    POSIX::read(3, my $word, 1);
    my $pid = spawn();
    say_line("member $pid") if $pid;
    sleep 60 if !$pid;
    gate();
}

sub spawn {
    my $pid = fork();
    die "fork: $!" if !defined $pid;
    return $pid;
}

sub run {
    exec '/bin/sh', '-c', $_[0] or die "exec: $!";
}

sub gate {
    POSIX::read(3, my $byte, 1);
}

# The child is not collected: its status is for whoever inherits it.
sub await_end {
    my ($pid) = @_;
    while (1) {
        open my $stat, '<', "/proc/$pid/stat" or die "stat: $!";
        return if <$stat> =~ /\) Z /;
        select undef, undef, undef, 0.001;
    }
}

sub say_line {
    syswrite STDOUT, "$_[0]\n";
}
