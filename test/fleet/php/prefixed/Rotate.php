<?php

class job_Rotate
{
    public function run($job, &$log)
    {
        return 'rotated ' . $job->workload();
    }
}
