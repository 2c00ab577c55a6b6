<?php
// Reports in every way before it answers; under the old names if asked to.

function report($job, &$log)
{
    if ($job->workload() === 'old') {
        $job->status(1, 4);
        $job->data('some data');
        $job->warning('a warning');
        $job->status(4, 4);
        $job->complete('the end');
    } else {
        $job->sendStatus(1, 4);
        $job->sendData('some data');
        $job->sendWarning('a warning');
        $job->sendStatus(4, 4);
        $job->sendComplete('the end');
    }
}
