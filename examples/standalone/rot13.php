<?php
/**
 * A standalone worker: a program that is a Gearman worker by itself, here with
 * pecl/gearman and pcntl. The manager starts it, tells it the job servers by its
 * environment, starts it again when it dies, and stops it with SIGTERM. In
 * config.ini:
 *
 *   [rot13]
 *   mode = standalone
 *   command = php examples/standalone/rot13.php
 *   count = 2
 *
 *   gearman-manager job rot13 "Hello World!"
 *   Uryyb Jbeyq!
 */
$worker = new GearmanWorker();
if (getenv('GEARMAN_SERVERS') === false) {
    $worker->addServer(); // when run by hand; otherwise pecl/gearman knows them already
}
$worker->addFunction('rot13', function (GearmanJob $job) {
    return str_rot13($job->workload());
});

// At SIGTERM it finishes the job in hand and leaves. While work() waits for a job
// no PHP code runs, so that it has to return now and then.
$leave = false;
pcntl_async_signals(true);
pcntl_signal(SIGTERM, function () use (&$leave) {
    $leave = true;
});
$worker->setTimeout(500);

while (!$leave) {
    if ($worker->work() || $worker->returnCode() === GEARMAN_TIMEOUT) {
        continue;
    }
    usleep(500000); // PHP has said why, such as a job server that is down
}
