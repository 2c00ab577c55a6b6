<?php
// Wants the job only, as workers do that log nothing.

class alone
{
    public function run(GearmanJob $job)
    {
        return '<' . $job->workload() . '>';
    }
}
