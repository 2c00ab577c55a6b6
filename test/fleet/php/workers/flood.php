<?php
// Prints a megabyte to each output and to the log of errors, slowly enough to be
// interrupted, and then answers.

function flood($job, &$log)
{
    for ($i = 0; $i < 1024; $i++) {
        echo str_repeat('x', 1023), "\n";
        fwrite(STDERR, str_repeat('y', 1023) . "\n");
        error_log(str_repeat('z', 1000));
        usleep(1000);
    }

    return 'flooded ' . $job->workload();
}
