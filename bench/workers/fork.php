<?php
// A minimal manager of PHP workers: it forks the loop that GearmanManager users
// run (see loop.php), and another one as soon as one has ended. A worker leaves
// after so many jobs; 0 is no limit. SIGTERM kills all, jobs in hand or not.
// Usage: php fork.php HOST PORT WORKER-FILE WORKERS MAX-RUNS

[, $host, $port, $file, $workers, $maxRuns] = $argv;
require $file;

function work(string $host, int $port, string $function, int $maxRuns): void
{
    $worker = new GearmanWorker();
    $worker->addOptions(GEARMAN_WORKER_NON_BLOCKING);
    $worker->setTimeout(5000);
    $worker->addServer($host, $port);
    $worker->addFunction($function, function (GearmanJob $job) use ($function) {
        $log = [];
        return $function($job, $log);
    });
    for (;;) {
        $worked = @$worker->work();
        $code = $worker->returnCode();
        if ($code === GEARMAN_SUCCESS) {
            if (--$maxRuns === 0) {
                return;
            }
            continue;
        }
        if (!$worked && $code !== GEARMAN_IO_WAIT && $code !== GEARMAN_NO_JOBS) {
            fwrite(STDERR, $worker->error() . "\n");
            exit(1);
        }
        if (!@$worker->wait() && $worker->returnCode() === GEARMAN_NO_ACTIVE_FDS) {
            sleep(5); // no server is connected: do not spin
        }
    }
}

// Blocked, signals wait for sigwaitinfo: none is lost between a look and a wait.
pcntl_sigprocmask(SIG_BLOCK, [SIGCHLD, SIGTERM], $mask);
$children = [];
do {
    while (($pid = pcntl_wait($status, WNOHANG)) > 0) {
        unset($children[$pid]);
    }
    while (count($children) < $workers) {
        if (($pid = pcntl_fork()) === 0) {
            pcntl_sigprocmask(SIG_SETMASK, $mask);
            work($host, (int) $port, basename($file, '.php'), (int) $maxRuns);
            exit(0);
        }
        $pid > 0 or exit(1);
        $children[$pid] = true;
    }
} while (pcntl_sigwaitinfo([SIGCHLD, SIGTERM]) !== SIGTERM);
foreach (array_keys($children) as $pid) {
    posix_kill($pid, SIGTERM);
}
while (pcntl_wait($status) > 0);
