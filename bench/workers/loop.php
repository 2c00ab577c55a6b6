<?php
// The worker loop that GearmanManager users run: pecl/gearman in non-blocking
// mode, wait() whenever work() found nothing to do.
// Usage: php reverse.php HOST PORT

$worker = new GearmanWorker();
$worker->addOptions(GEARMAN_WORKER_NON_BLOCKING);
$worker->setTimeout(5000);
$worker->addServer($argv[1], (int) $argv[2]);
$worker->addFunction('reverse', function (GearmanJob $job) {
    return strrev($job->workload());
});

for (;;) {
    $worked = @$worker->work();
    $code = $worker->returnCode();
    if ($code === GEARMAN_SUCCESS) {
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
