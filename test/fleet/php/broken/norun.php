<?php

class norun
{
    public function walk($job, &$log)
    {
    }
}
