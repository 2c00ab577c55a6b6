<?php
// A job of PEAR's Net_Gearman, named as that wants it.

class Net_Gearman_Job_Sum extends Net_Gearman_Job_Common
{
    public function run($arg)
    {
        if (!is_array($arg)) {
            throw new Net_Gearman_Job_Exception('want a list of numbers');
        }
        $sum = 0;
        foreach ($arg as $i => $n) {
            $sum += $n;
            $this->status($i + 1, count($arg));
        }

        return ['sum' => $sum, 'handle' => $this->handle];
    }
}
