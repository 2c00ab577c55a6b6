<?php
// Notes its process in the file that the workload names first, - for none, takes the
// seconds that it names then, and answers its process. To start takes it the seconds
// that STORM_INIT says.

usleep((int) (1e6 * (float) getenv('STORM_INIT')));

function phpturn($job, &$log)
{
    [$file, $seconds] = explode(' ', $job->workload());
    if ($file !== '-') {
        file_put_contents($file, getmypid() . "\n", FILE_APPEND);
    }
    usleep((int) (1e6 * $seconds));

    return getmypid();
}
