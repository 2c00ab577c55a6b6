<?php
// A job of PEAR's Net_Gearman, named as GearmanManager wants it, which logs as
// there. Its result is no array.

use GearmanManager\Bridge\GearmanPearManager;

class Length extends Net_Gearman_Job_Common
{
    public function run($arg)
    {
        GearmanPearManager::$LOG[] = "measured $arg";

        return strlen($arg);
    }
}
