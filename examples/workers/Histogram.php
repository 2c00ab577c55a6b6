<?php
/**
 * A PHP worker as a class: one object is made for a worker, and its method run
 * is called for each job. What takes long to prepare belongs into the
 * constructor.
 *
 * The workload is text, the answer how often each of its words occurs, the most
 * frequent first, as JSON. Progress is reported line by line.
 *
 *   printf 'a rose is\na rose' | gearman-manager job Histogram
 *   {"rose":2}
 */
class Histogram
{
    private $ignored;

    public function __construct()
    {
        $this->ignored = array_flip(['a', 'an', 'and', 'is', 'of', 'or', 'the', 'to']);
    }

    public function run(GearmanJob $job, &$log)
    {
        $counts = [];
        $lines = explode("\n", strtolower($job->workload()));
        foreach ($lines as $i => $line) {
            foreach (preg_split('/[^a-z0-9]+/', $line, -1, PREG_SPLIT_NO_EMPTY) as $word) {
                if (!isset($this->ignored[$word])) {
                    $counts[$word] = ($counts[$word] ?? 0) + 1;
                }
            }
            $job->sendStatus($i + 1, count($lines));
        }
        arsort($counts);

        return json_encode($counts, JSON_FORCE_OBJECT);
    }
}
