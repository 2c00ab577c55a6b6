<?php
// Needs a class that Composer's autoloader finds.

use Acme\App\Greeter;

class welcome
{
    private $greeter;

    public function __construct()
    {
        $this->greeter = new Greeter();
    }

    public function run($job, &$log)
    {
        return $this->greeter->greet($job->workload());
    }
}
