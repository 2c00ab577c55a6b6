<?php

namespace Acme\App;

class Greeter
{
    public function greet($name)
    {
        return "Hello $name!";
    }
}
