<?php
/**
 * A PHP worker as a function, as GearmanManager ran it. The function is named
 * after the file. What is put into $log reaches the log, with the handle of the
 * job.
 *
 *   gearman-manager job slug "Hello World!"
 *   hello-world
 */
function slug(GearmanJob $job, &$log)
{
    $text = strtolower($job->workload());
    $slug = trim(preg_replace('/[^a-z0-9]+/', '-', $text), '-');
    if ($slug === '') {
        throw new InvalidArgumentException('want a text with a letter or a digit in it');
    }
    $log[] = "slug of {$job->workloadSize()} bytes";

    return $slug;
}
