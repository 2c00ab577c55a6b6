<?php
// A worker process as GearmanManager makes them with pecl/gearman: one wrapper
// for all functions, which finds the function or the object, loads the worker
// file at the first job, and logs each job and its result at the levels that are
// asked for.
// Usage: php child.php HOST PORT WORKER-FILE

require __DIR__ . '/process.php';

class Child extends Process
{
    const LONGEST = 256; // bytes of a line in the log

    private $files;
    private $objects = [];
    private $prefix = '';

    public function __construct(array $files)
    {
        parent::__construct();
        $this->files = $files;
    }

    public function work($host, $port)
    {
        $worker = new GearmanWorker();
        $worker->addOptions(GEARMAN_WORKER_NON_BLOCKING);
        $worker->setTimeout(5000);
        $this->log("server $host:$port", self::WORKER);
        $worker->addServers("$host:$port");
        foreach ($this->files as $function => $file) {
            $this->log("function $function", self::WORKER);
            $worker->addFunction($function, [$this, 'perform'], $this, null);
        }
        while (!$this->stop) {
            $this->limits(!$this->turn($worker));
        }
        $worker->unregisterAll();
    }

    // turn tells whether a job was done.
    private function turn($worker)
    {
        if (!@$worker->work()
            && $worker->returnCode() != GEARMAN_IO_WAIT
            && $worker->returnCode() != GEARMAN_NO_JOBS) {
            return false;
        }
        if ($worker->returnCode() == GEARMAN_SUCCESS) {
            return true;
        }
        if (!@$worker->wait() && $worker->returnCode() == GEARMAN_NO_ACTIVE_FDS) {
            sleep(5); // no server is connected
        }
        return false;
    }

    public function perform($job)
    {
        $workload = $job->workload();
        $handle = $job->handle();
        $name = $job->functionName();
        $function = $this->prefix ? $this->prefix . $name : $name;
        if (!$this->load($name, $function)) {
            return null;
        }
        $this->log("($handle) begins: $name", self::WORKER);
        $this->log("($handle) workload: $workload", self::DEBUG);
        $log = [];
        if (isset($this->objects[$name])) {
            $this->log("($handle) object of $name", self::DEBUG);
            $result = $this->objects[$name]->run($job, $log);
        } else {
            $this->log("($handle) function of $name", self::DEBUG);
            $result = $function($job, $log);
        }
        foreach ($log as $line) {
            $this->logValue($handle, $line, self::WORKER);
        }
        $this->logValue($handle, $result, self::DEBUG);
        // A copy of its own type, for old versions of pecl/gearman.
        $type = gettype($result);
        settype($result, $type);
        $this->runs++;
        return $result;
    }

    private function load($name, $function)
    {
        if (!empty($this->objects[$name]) || function_exists($function) || class_exists($function, false)) {
            return true;
        }
        if (!isset($this->files[$name])) {
            $this->log("no worker file for $name");
            return false;
        }
        require_once $this->files[$name];
        if (class_exists($function) && method_exists($function, 'run')) {
            $this->objects[$name] = new $function();
            return true;
        }
        return function_exists($function);
    }

    private function logValue($handle, $value, $level)
    {
        if (is_scalar($value)) {
            $line = strlen($value) > self::LONGEST ? substr($value, 0, self::LONGEST) . '...' : $value;
            $this->log("($handle) $line", $level);
            return;
        }
        foreach (explode("\n", trim(print_r($value, true))) as $line) {
            $this->log("($handle) $line", $level);
        }
    }
}

(new Child([basename($argv[3], '.php') => $argv[3]]))->work($argv[1], (int) $argv[2]);
