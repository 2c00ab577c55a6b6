<?php
// A worker whose jobs wait for SIGTERM, and that leaves after its job then.
$told = false;
pcntl_async_signals(true);
pcntl_signal(SIGTERM, function () use (&$told) {
    $told = true;
});
$worker = new GearmanWorker();
$worker->addFunction('slow', function (GearmanJob $job) use (&$told) {
    echo "begins {$job->workload()}\n";
    for ($i = 0; $i < 1000 && !$told; $i++) {
        usleep(10000);
    }

    return "done {$job->workload()}, was " . ($told ? 'told' : 'not told');
});
while (!$told && $worker->work()) {
}
