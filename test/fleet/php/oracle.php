<?php
// The worker loop of pecl/gearman, which says what PHP workers are answered
// like. It performs "conduct" for a job server until it is killed.
//
// Usage: php oracle.php HOST PORT

require __DIR__ . '/workers/conduct.php';

$worker = new GearmanWorker();
$worker->addServer($argv[1], (int) $argv[2]);
$worker->addFunction('conduct', function (GearmanJob $job) {
    $log = [];

    return conduct($job, $log);
});
while (true) {
    @$worker->work(); // it is false after a job that failed, too
}
