<?php
// What all workers of GearmanManager share: a signal that ends them, a log with
// levels, and limits. The file asks for ticks, as theirs does: signals are looked
// for after each statement of it.

declare(ticks=1);

abstract class Process
{
    const INFO = 1;
    const WORKER = 3;
    const DEBUG = 4;

    protected $verbose = 0; // log level: off
    protected $stop = false;
    protected $started = 0;
    protected $lifetime = 3600;
    protected $maxRuns = 0;
    protected $runs = 0;

    public function __construct()
    {
        $this->started = time();
        pcntl_signal(SIGTERM, [$this, 'signal']);
    }

    public function signal($number)
    {
        $this->stop = true;
    }

    protected function log($line, $level = self::INFO)
    {
        if ($level > $this->verbose) {
            return;
        }
        fwrite(STDERR, getmypid() . " $line\n");
    }

    // limits ends a worker that is too old, and one that has done its jobs as
    // soon as it has nothing to do.
    protected function limits($idle)
    {
        if ($this->lifetime > 0 && time() - $this->started > $this->lifetime) {
            $this->log('lived long enough', self::WORKER);
            $this->stop = true;
        }
        if ($idle && $this->maxRuns > 0 && $this->runs >= $this->maxRuns) {
            $this->log("did $this->runs jobs", self::WORKER);
            $this->stop = true;
        }
    }
}
