<?php

namespace Acme\Jobs;

class Greet
{
    public function run(\GearmanJob $job, &$log)
    {
        return __CLASS__ . ' greets ' . $job->workload();
    }
}
