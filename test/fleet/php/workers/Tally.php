<?php
// A class with a method run. One object serves all jobs of the worker.

class Tally
{
    private $made;
    private $calls = 0;

    public function __construct()
    {
        $this->made = uniqid('', true);
    }

    public function run($job, &$log)
    {
        $this->calls++;
        $log[] = "call $this->calls";

        return "$this->made $this->calls";
    }
}
