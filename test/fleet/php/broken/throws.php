<?php

function throws($job, &$log)
{
}

throw new RuntimeException('no database');
