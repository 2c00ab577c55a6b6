<?php
// Ends jobs badly, as the workload says.

function refuse($job, &$log)
{
    switch ($job->workload()) {
        case 'fail':
            $job->fail();
            break;
        case 'sendFail':
            $job->sendFail();
            break;
        case 'exception':
            $job->exception('refused');
            break;
        case 'sendException':
            $job->sendException('refused');
            break;
        case 'setReturn':
            $job->setReturn(GEARMAN_WORK_FAIL);
            break;
    }

    return 'not to be seen';
}
